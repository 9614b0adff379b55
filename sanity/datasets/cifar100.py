"""CIFAR-100: 60,000 colour images of 32x32 pixels in 100 classes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from sanity.data.cifar_files import read_cifar
from sanity.datasets.base import Dataset, Examples


@dataclass
class Cifar100(Dataset):
    """50,000 training and 10,000 test images with fine labels, from torchvision's download."""

    name: str = "cifar100"
    num_classes: int | None = 100
    channels: int = 3
    image_size: int | None = 32
    mean: Sequence[float] | None = (0.5071, 0.4867, 0.4408)
    std: Sequence[float] | None = (0.2675, 0.2565, 0.2761)
    crop_padding: int = 4
    flip: bool = True

    sizes: ClassVar[Mapping[str, int]] = {"train": 50_000, "test": 10_000}

    def read(self, data_dir: Path) -> dict[str, Examples]:
        """Read the original pickles below ``data_dir/raw``, downloading them if need be."""
        from torchvision.datasets import CIFAR100

        return read_cifar(CIFAR100, data_dir / "raw" / "cifar100", num_classes=100)
