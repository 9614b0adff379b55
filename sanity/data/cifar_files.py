"""CIFAR's original files, which torchvision knows how to check and read."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from sanity.core.errors import DataError
from sanity.data.fetch import fetch
from sanity.datasets.base import Examples


def read_cifar(original: Any, raw: Path, num_classes: int) -> dict[str, Examples]:
    """Both splits of ``original``, torchvision's class, from its files in ``raw``.

    The archive is downloaded and unpacked unless the unpacked files are there; all files are
    compared with torchvision's digests before anything in them is unpickled.
    """
    if not _unpacked(original, raw):
        by_hand = f"put {original.filename} or its unpacked {original.base_folder} into {raw}"
        fetch(original.url, raw / original.filename, original.tgz_md5, by_hand)
    try:
        with _old_formats():
            splits = {
                "train": original(raw, train=True, download=True),
                "test": original(raw, train=False, download=True),
            }
    except RuntimeError:
        raise DataError(
            f"{raw / original.base_folder} is damaged: delete it and "
            f"{original.filename} beside it, to download them again"
        ) from None
    return {
        name: Examples(torch.from_numpy(split.data), torch.tensor(split.targets), num_classes)
        for name, split in splits.items()
    }


def _unpacked(original: Any, raw: Path) -> bool:
    from torchvision.datasets.utils import check_integrity

    meta = (original.meta["filename"], original.meta["md5"])
    files = [*original.train_list, *original.test_list, meta]
    return all(check_integrity(raw / original.base_folder / name, md5) for name, md5 in files)


@contextmanager
def _old_formats() -> Iterator[None]:
    """Silence NumPy on CIFAR's old pickles, and Python on torchvision's unfiltered unpacking.

    Both handle nothing but files whose digests are known.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
