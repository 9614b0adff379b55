"""CIFAR-100: 60,000 colour images of 32x32 pixels in 100 classes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from sanity.datasets.cifar10 import Cifar10


@dataclass
class Cifar100(Cifar10):
    """50,000 training and 10,000 test images with fine labels, as CIFAR-10's but for these."""

    name: str = "cifar100"
    num_classes: int | None = 100
    mean: Sequence[float] | None = (0.5071, 0.4867, 0.4408)
    std: Sequence[float] | None = (0.2675, 0.2565, 0.2761)

    original_class: ClassVar[str] = "CIFAR100"
    pixel_digests: ClassVar[Mapping[str, str]] = {}
    label_digests: ClassVar[Mapping[str, str]] = {}
