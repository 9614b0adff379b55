"""Any tree of image files, one directory a class: bring your own data set."""

import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from sanity.datasets.base import Dataset, Examples
from sanity.datasets.foreign import files_below, read_file
from sanity.datasets.images import FORMATS, MODES, read_images
from sanity.datasets.order import fixed_order
from sanity.errors import ConfigError, DataError, as_line

FILE_BYTES = 256 << 20  # of one image file; more than PIXELS in colour take uncompressed


@dataclass
class Folder(Dataset):
    """``path/train/<class>/*`` and ``path/test/<class>/*``, or ``val`` where there is no ``test``.

    Classes are numbered by name. Where they are null, ``num_classes`` is what the tree has,
    ``image_size`` what all images have, ``mean`` and ``std`` those of the training images.
    """

    path: str = field(kw_only=True)
    name: str = "folder"
    num_classes: int | None = None
    channels: int = 3
    image_size: int | None = None
    mean: Sequence[float] | None = None
    std: Sequence[float] | None = None
    crop_padding: int = 4
    flip: bool = True

    named: ClassVar[bool] = False

    @property
    def root(self) -> Path:
        """The tree's absolute path."""
        try:
            return Path(self.path).expanduser().absolute()
        except RuntimeError:  # ~ of a user whom nobody knows: there is no such directory
            return Path(self.path).absolute()

    @property
    def packed_as(self) -> str:
        """A directory for this tree and this form of its images, e.g. folder-flowers-1f0a...."""
        form = f"{self.root}\n{self.image_size}\n{self.channels}"
        slug = re.sub(r"[^A-Za-z0-9_-]+", "-", self.root.name)[:40]
        return f"folder-{slug}-{hashlib.sha256(os.fsencode(form)).hexdigest()[:12]}"

    def source_digest(self) -> str | None:
        """A digest over the names, sizes and times of all image files."""
        digest = hashlib.sha256()
        try:
            for files in list_tree(self.root)[1].values():
                for name, _ in files:
                    status = Path(name).stat()
                    line = f"{name}\n{status.st_size} {status.st_mtime_ns}\n"
                    digest.update(os.fsencode(line))  # names need not be UTF-8
        except OSError as error:
            raise DataError(
                f"{as_line(error.filename)} cannot be read ({error.strerror})"
            ) from None
        return digest.hexdigest()

    def original(self, split: str, index: int) -> str | None:
        """The file of a packed image, as long as the tree is what was packed."""
        files = list_tree(self.root)[1][split]
        return files[int(fixed_order(len(files))[index])][0]

    def read(self, data_dir: Path) -> dict[str, Examples]:
        """Decode all images, in a fixed random order: the first half is to be a random half."""
        if self.channels not in MODES:
            raise ConfigError(f"dataset.channels={self.channels}: must be 1 (grey) or 3 (colour)")
        classes, splits = list_tree(self.root)
        if self.num_classes not in (None, len(classes)):
            raise ConfigError(
                f"dataset.num_classes={self.num_classes}: {as_line(self.root / 'train')} has "
                f"{len(classes)} classes; leave it null"
            )
        read = {}
        for split, files in splits.items():
            shuffled = [files[i] for i in fixed_order(len(files)).tolist()]
            read[split] = read_images(
                shuffled,
                lambda name: read_file(Path(name), FILE_BYTES),
                self.channels,
                self.image_size,
                len(classes),
                f"{self.root.name} {split}",
            )
        return read


def list_tree(root: Path) -> tuple[list[str], dict[str, list[tuple[str, int]]]]:
    """The classes of a tree, and for both splits its sorted (file, class number) pairs.

    Raises ConfigError where there is no such tree, DataError where a split or class is empty.
    """
    if not root.is_dir():
        raise ConfigError(f"dataset.path={as_line(root)}: no such directory")
    train = root / "train"
    test = next((root / name for name in ("test", "val") if (root / name).is_dir()), None)
    if not train.is_dir() or test is None:
        missing = "train" if test else "test (or val)"
        raise ConfigError(
            f"dataset.path={as_line(root)}: holds no directory {missing}; a test set has to be "
            "chosen once and for all, so move images into train/<class>/ and test/<class>/"
        )
    classes = _directories(train)
    unknown = sorted(set(_directories(test)) - set(classes))
    if unknown:
        raise DataError(f"{as_line(test / unknown[0])}: {as_line(train)} has no such class")
    files = {"train": _list_split(train, classes), "test": _list_split(test, classes)}
    empty = set(range(len(classes))) - {label for _, label in files["train"]}
    if empty or not files["train"] or not files["test"]:
        where = train / classes[min(empty)] if empty else (test if files["train"] else train)
        raise DataError(f"{as_line(where)} holds no images ({', '.join(sorted(FORMATS))})")
    return classes, files


def _directories(parent: Path) -> list[str]:
    return sorted(
        child.name for child in parent.iterdir() if child.is_dir() and child.name[0] != "."
    )


def _list_split(parent: Path, classes: list[str]) -> list[tuple[str, int]]:
    return [
        (str(path), label)
        for label, name in enumerate(classes)
        if (parent / name).is_dir()  # the test set need not have every class
        for path in sorted(files_below(parent / name))
        if path.suffix.lower() in FORMATS and path.name[0] != "." and path.is_file()
    ]
