"""CIFAR-10: 60,000 colour images of 32x32 pixels in 10 classes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from sanity.data.cifar_files import read_cifar
from sanity.datasets.base import Dataset, Examples


@dataclass
class Cifar10(Dataset):
    """50,000 training and 10,000 test images, from torchvision's download."""

    name: str = "cifar10"
    num_classes: int | None = 10
    channels: int = 3
    image_size: int | None = 32
    mean: Sequence[float] | None = (0.4914, 0.4822, 0.4465)
    std: Sequence[float] | None = (0.2023, 0.1994, 0.2010)
    crop_padding: int = 4
    flip: bool = True

    sizes: ClassVar[Mapping[str, int]] = {"train": 50_000, "test": 10_000}
    pixel_digests: ClassVar[Mapping[str, str]] = {
        "train": "47af8b02cfcfb6cdf3dbbd1969ad7f1b70f4413f6f80f437b020ee4e5bc8304a",
        "test": "f9b1e2130bab680db56eb06d886f7f1ad0f1183907ceff4659d1735c890f5b04",
    }
    label_digests: ClassVar[Mapping[str, str]] = {
        "train": "f5cfe00b0f00968c0cc5ff3b1d2de51b10e33efa277c2986f4e0fa63e58c9f4f",
        "test": "cbb7365de8ed11f05cc4c3a1e7f78144127c5e851efd83762fb18202461230bb",
    }

    def read(self, data_dir: Path) -> dict[str, Examples]:
        """Read the original pickles below ``data_dir/raw``, downloading them if need be."""
        from torchvision.datasets import CIFAR10

        return read_cifar(CIFAR10, data_dir / "raw" / "cifar10", num_classes=10)
