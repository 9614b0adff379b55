"""CIFAR-10: 60,000 colour images of 32x32 pixels in 10 classes."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch

from sanity.core.errors import DataError
from sanity.data.fetch import fetch
from sanity.datasets.base import Dataset, Examples


@dataclass
class Cifar10(Dataset):
    """50,000 training and 10,000 test images, from torchvision's download."""

    cites = ("krizhevsky2009learning",)

    name: str = "cifar10"
    num_classes: int | None = 10
    channels: int = 3
    image_size: int | None = 32
    mean: Sequence[float] | None = (0.4914, 0.4822, 0.4465)
    std: Sequence[float] | None = (0.2023, 0.1994, 0.2010)
    crop_padding: int = 4
    flip: bool = True

    original_class: ClassVar[str] = "CIFAR10"  # torchvision's, which checks and reads the files
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
        """Read the pickles below ``data_dir/raw``, downloaded if need be and of known digests."""
        from torchvision import datasets

        original, raw = getattr(datasets, self.original_class), data_dir / "raw" / self.name
        if not _unpacked(original, raw):
            by_hand = f"put {original.filename} or its unpacked {original.base_folder} into {raw}"
            fetch(original.url, raw / original.filename, original.tgz_md5, by_hand)
        try:
            with warnings.catch_warnings():
                # Of NumPy on old pickles, of Python on torchvision's unfiltered unpacking: both
                # handle nothing but files whose digests are known.
                warnings.simplefilter("ignore")
                train, test = (original(raw, train=one, download=True) for one in (True, False))
        except RuntimeError:
            raise DataError(
                f"{raw / original.base_folder} is damaged: delete it and "
                f"{original.filename} beside it, to download them again"
            ) from None
        return {
            name: Examples(torch.from_numpy(it.data), torch.tensor(it.targets), len(it.classes))
            for name, it in {"train": train, "test": test}.items()
        }


def _unpacked(original: Any, raw: Path) -> bool:
    from torchvision.datasets.utils import check_integrity

    meta = (original.meta["filename"], original.meta["md5"])
    files = [*original.train_list, *original.test_list, meta]
    return all(check_integrity(raw / original.base_folder / name, md5) for name, md5 in files)
