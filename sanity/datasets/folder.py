"""Any tree of image files, one directory a class: bring your own data set."""

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from sanity.core.config import typed_from
from sanity.core.errors import ConfigError, DataError, as_line, reason
from sanity.core.files import expanded
from sanity.data.decoding import REVISION, Form
from sanity.data.foreign import read_file
from sanity.data.images import read_images
from sanity.data.order import in_fixed_order
from sanity.data.tree import Tree, list_classes, list_tree
from sanity.datasets.base import Dataset, Examples

FILE_BYTES = 256 << 20  # of one image file; more than PIXELS in colour take uncompressed


@dataclass
class Folder(Dataset):
    """``path/train/<class>/*`` and ``path/test/<class>/*``; ``val`` where ``test`` has no classes.

    Classes are numbered by name. ``background`` is the colour that transparent pixels show; they
    are refused where it is null. Where they are null, ``num_classes`` is what the tree has,
    ``image_size`` what all images have, ``mean`` and ``std`` those of the training images.
    """

    path: str = field(kw_only=True)
    background: str | None = None
    name: str = "folder"
    num_classes: int | None = None
    channels: int = 3
    image_size: int | None = None
    mean: Sequence[float] | None = None
    std: Sequence[float] | None = None
    crop_padding: int = 4
    flip: bool = True

    named = False

    @property
    def root(self) -> Path:
        """The tree's absolute path."""
        return typed_from() / expanded(self.path)

    @property
    def packed_as(self) -> str:
        """A directory for this tree and this form of its images, e.g. folder-flowers-1f0a...."""
        form = f"{self.root}\n{self.image_size}\n{self.channels}"
        if self.background is not None:
            form += f"\n{self.background}"
        slug = re.sub(r"[^A-Za-z0-9_-]+", "-", self.root.name)[:40]
        return f"folder-{slug}-{hashlib.sha256(os.fsencode(form)).hexdigest()[:12]}"

    def source_digest(self) -> str | None:
        """A digest over the names, sizes and times of all image files, and how they are decoded.

        The time of a file's last change of any kind is among them: contents can be exchanged
        under an old date.
        """
        digest = hashlib.sha256(f"{REVISION}\n".encode())
        with _disk_errors():
            for files in self._tree().files.values():
                for name, _ in files:
                    status = os.stat(name)  # noqa: PTH116 - of a million files
                    times = f"{status.st_mtime_ns} {status.st_ctime_ns}"
                    digest.update(os.fsencode(f"{name}\n{status.st_size} {times}\n"))
        return digest.hexdigest()

    def class_names(self) -> Sequence[str]:
        """The names of the training folders."""
        with _disk_errors():
            return list_classes(self.root)

    def original(self, split: str, index: int) -> str | None:
        """The file of a packed image, as long as the tree is what was packed."""
        return in_fixed_order(self._tree().files[split])[index][0]

    def read(self, data_dir: Path) -> dict[str, Examples]:
        """Decode all images, in a fixed random order: the first half is to be a random half."""
        tree = self._tree()
        if self.num_classes not in (None, len(tree.classes)):
            raise ConfigError(
                f"dataset.num_classes={self.num_classes}: {as_line(self.root / 'train')} has "
                f"{len(tree.classes)} classes; leave it null"
            )
        read = read_images(
            {split: in_fixed_order(files) for split, files in tree.files.items()},
            lambda name: read_file(Path(name), FILE_BYTES),
            Form(self.channels, self.image_size, self.background),
            len(tree.classes),
            self.root.name,
            data_dir,
        )
        return {
            split: replace(examples, remarks=(*tree.remarks[split], *examples.remarks))
            for split, examples in read.items()
        }

    def _tree(self) -> Tree:
        with _disk_errors():
            return list_tree(self.root)


@contextmanager
def _disk_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataError(f"{as_line(error.filename)} cannot be read ({reason(error)})") from None
