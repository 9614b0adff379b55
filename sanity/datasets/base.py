"""Named data sets as packed image tensors: what they are, and how their original files are read."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor

from sanity.core.errors import as_line
from sanity.core.option import Option

SPLIT_NAMES = {"train": "training", "test": "test"}
"""What a split is called where its images are spoken of."""


@dataclass(frozen=True)
class Examples:
    """Labelled images as they are packed: images uint8 [N, H, W, C], labels int64 [N].

    ``remarks`` say what was done to the original files to get them, where a reader should know.
    ``names`` are the classes' names, empty where they are not known.
    """

    images: Tensor
    labels: Tensor
    num_classes: int
    remarks: tuple[str, ...] = ()
    names: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.labels)

    def pick(self, which: slice | Tensor) -> "Examples":
        """Some of them: a slice, or those of an index or a mask."""
        return replace(self, images=self.images[which], labels=self.labels[which])

    def class_name(self, label: int) -> str:
        """What a class is called where it is spoken of."""
        return as_line(self.names[label]) if label < len(self.names) else str(label)


@dataclass(frozen=True)
class Packed:
    """An opened data set, the digest of its contents, and how many test images are in training.

    ``remarks`` are what a reader of its results should know of it.
    """

    train: Examples
    test: Examples
    fingerprint: str
    overlap: int
    remarks: tuple[str, ...] = ()


@dataclass
class Dataset(Option, ABC):
    """A data set's settings; the fields are the keys of its YAML file.

    A pixel v enters the network as (v / pixel_max - mean) / std per channel. Training images are
    shifted by a random crop after ``crop_padding`` zero pixels on every side (0 = no shift) and
    mirrored with probability 1/2 where ``flip`` is set. ``validation_size`` training images are
    set aside, ``limit`` keeps that many training and test images only (for trying things out).
    The last two are no settings: ``resolve`` fills in ``fingerprint`` where contents are not
    ``named``, and ``directory`` with what ``packed_as`` was.
    """

    name: str
    num_classes: int | None
    channels: int
    image_size: int | None
    mean: Sequence[float] | None
    std: Sequence[float] | None
    pixel_max: int = 255
    crop_padding: int = 0
    flip: bool = False
    validation_size: int = 0
    limit: int | None = None
    fingerprint: str | None = None
    directory: str | None = None

    named: ClassVar[bool] = True  # contents are known by the name alone (False for folders)
    sizes: ClassVar[Mapping[str, int]] = {}  # split -> number of images, where it is known
    pixel_digests: ClassVar[Mapping[str, str]] = {}  # split -> sha256 of its pixels, where known
    label_digests: ClassVar[Mapping[str, str]] = {}  # split -> sha256 of its labels, where known

    @property
    def own_settings(self) -> dict[str, Any]:
        """The options that a subclass adds, which decide what it reads."""
        common = {field.name for field in fields(Dataset)}
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in common}

    @property
    def packed_as(self) -> str:
        """The directory below ``data_dir`` that holds the packed files."""
        if not self.own_settings:
            return self.name
        text = repr(sorted(self.own_settings.items()))
        return f"{self.name}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"

    def source_digest(self) -> str | None:
        """The state of the original files, to notice changes; None where the name says it all."""
        return None

    def class_names(self) -> Sequence[str]:
        """What messages call the classes, by number; empty where that is a number too."""
        return ()

    def original(self, split: str, index: int) -> str | None:
        """The file that a packed image was read from; None where that is not known."""
        return None

    @abstractmethod
    def read(self, data_dir: Path) -> dict[str, Examples]:
        """Read (downloading if need be) the original files into {"train": ..., "test": ...}."""
