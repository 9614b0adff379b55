"""Fashion-MNIST: 70,000 grey images of 28x28 pixels in 10 classes."""

import gzip
import hashlib
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from sanity.core.errors import DataError
from sanity.data.fetch import fetch
from sanity.data.foreign import read_file
from sanity.datasets.base import Dataset, Examples

DEBIAN = Path("/usr/share/datasets/fashion-mnist")  # where Debian's package puts the files
LARGEST = 16 + 60_000 * 28 * 28  # bytes of the largest of the files, without gzip
CONTENTS = {  # sha256 of the files without gzip, however they were compressed again
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}


@dataclass
class FashionMnist(Dataset):
    """60,000 training and 10,000 test images, from Debian's package or torchvision's mirror."""

    cites = ("xiao2017fashion",)

    name: str = "fashion_mnist"
    num_classes: int | None = 10
    channels: int = 1
    image_size: int | None = 28
    mean: Sequence[float] | None = (0.2860,)
    std: Sequence[float] | None = (0.3530,)
    crop_padding: int = 4
    flip: bool = True

    sizes: ClassVar[Mapping[str, int]] = {"train": 60_000, "test": 10_000}
    pixel_digests: ClassVar[Mapping[str, str]] = {
        "train": "2e487a6c89124f78f2d7521542223cafe96f7123c3ca13d447772ac6ecbb3012",
        "test": "c867c93ff95360594e8ec3287995350b824dd110b11595c0e13d5423f621867a",
    }

    def read(self, data_dir: Path) -> dict[str, Examples]:
        """Read the four idx files, downloading into ``data_dir/raw`` those that are nowhere."""
        raw = data_dir / "raw" / "fashion_mnist"
        return {"train": _read_split("train", raw), "test": _read_split("t10k", raw)}


def parse_idx(content: bytes, dimensions: int) -> Tensor:
    """The unsigned bytes of an idx file: magic 0x0800 + dimensions, big-endian sizes, data.

    Raises ValueError where magic, sizes and length do not agree.
    """
    header = np.frombuffer(content, ">u4", count=1 + dimensions)
    if header[0] != 0x0800 + dimensions:
        raise ValueError("not an idx file of bytes")
    data = np.frombuffer(content, np.uint8, offset=header.nbytes)
    return torch.from_numpy(data.reshape([int(size) for size in header[1:]]).copy())


def _read_split(prefix: str, raw: Path) -> Examples:
    try:
        images = parse_idx(_content(f"{prefix}-images-idx3-ubyte", raw), dimensions=3)
        labels = parse_idx(_content(f"{prefix}-labels-idx1-ubyte", raw), dimensions=1)
    except ValueError as error:
        raise DataError(f"fashion_mnist: the {prefix} files are wrong ({error})") from None
    return Examples(images.unsqueeze(-1), labels.to(torch.int64), num_classes=10)


def _content(name: str, raw: Path) -> bytes:
    """The bytes of an idx file, with or without gzip, from the first place that has it right."""
    for path in (raw / f"{name}.gz", raw / name, DEBIAN / f"{name}.gz"):
        content = _unzipped(path) if path.is_file() else b""
        if hashlib.sha256(content).hexdigest() == CONTENTS[name]:
            return content
    from torchvision.datasets import FashionMNIST

    digests = dict(FashionMNIST.resources)
    archive = raw / f"{name}.gz"
    by_hand = f"put {archive.name} into {raw}, or install Debian's package dataset-fashion-mnist"
    fetch(f"{FashionMNIST.mirrors[0]}{archive.name}", archive, digests[archive.name], by_hand)
    return _unzipped(archive)


def _unzipped(path: Path) -> bytes:
    """What a file holds, b"" where that is more than any of them does or cannot be told."""
    try:
        if path.suffix != ".gz":
            return read_file(path, LARGEST)
        with gzip.open(path) as file:
            content = file.read(LARGEST + 1)
    except (EOFError, gzip.BadGzipFile, zlib.error, ValueError):  # damaged: as good as missing
        return b""
    return content if len(content) <= LARGEST else b""
