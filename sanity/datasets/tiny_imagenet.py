"""Tiny-ImageNet: 110,000 labelled colour images of 64x64 pixels in 200 classes."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from sanity.core.errors import DataError, as_line
from sanity.data.archive import AGAIN, FILE_BYTES, is_archive, open_archive
from sanity.data.decoding import Form
from sanity.data.fetch import fetch
from sanity.data.foreign import files_below, read_file
from sanity.data.images import read_images
from sanity.data.order import in_fixed_order
from sanity.datasets.base import Dataset, Examples

ROOT = "tiny-imagenet-200"
URL = f"http://cs231n.stanford.edu/{ROOT}.zip"
MD5 = "90528d7ca1a48142e341f4ef8d21d0de"
ANNOTATIONS = "val/val_annotations.txt"
TRAIN_IMAGE = re.compile(r"train/([^/]+)/images/[^/]+\.jpe?g", re.IGNORECASE)


@dataclass
class TinyImagenet(Dataset):
    """100,000 training images; the test set is the 10,000 labelled images called validation."""

    cites = ("le2015tiny",)

    name: str = "tiny_imagenet"
    num_classes: int | None = 200
    channels: int = 3
    image_size: int | None = 64
    mean: Sequence[float] | None = (0.48024578664982126, 0.44807218089384643, 0.3975477478649648)
    std: Sequence[float] | None = (0.2769864069088257, 0.26906448510256, 0.282081906210584)
    crop_padding: int = 4
    flip: bool = True

    sizes: ClassVar[Mapping[str, int]] = {"train": 100_000, "test": 10_000}

    def read(self, data_dir: Path) -> dict[str, Examples]:
        """Read the archive or the unpacked tree in ``data_dir/raw/tiny_imagenet``."""
        with _open_original(data_dir / "raw" / "tiny_imagenet") as original:
            splits = list_splits(original)
            classes = 1 + max(label for _, label in splits["train"])
            # As they have always been read: their key is their name.
            form = Form(self.channels, upright=False)
            return read_images(splits, original.load, form, classes, self.name, data_dir)


@dataclass(frozen=True)
class Original:
    """The files of the archive or the tree, named from its root on, and how to load one."""

    place: Path
    names: list[str]
    load: Callable[[str], bytes]


def list_splits(original: Original) -> dict[str, list[tuple[str, int]]]:
    """The (file, class) pairs of both splits; classes are numbered by WordNet id.

    Files come by class, so they are put in a fixed random order: the first half of the packed
    images is to be a random half. Raises DataError where annotations are missing or name what is
    not there: no other file of the machine is an image of this data set.
    """
    found = [match for name in sorted(original.names) if (match := TRAIN_IMAGE.fullmatch(name))]
    numbers = {wnid: i for i, wnid in enumerate(sorted({match[1] for match in found}))}
    known = set(original.names)
    if not found or ANNOTATIONS not in known:
        missing = ANNOTATIONS if found else "train/<class>/images/*.JPEG"
        raise DataError(f"{original.place} holds no {missing}: {AGAIN}")
    test: dict[str, int] = {}
    try:
        lines = original.load(ANNOTATIONS).decode().splitlines()
    except (OSError, ValueError) as error:
        raise DataError(
            f"{original.place}: {ANNOTATIONS} cannot be read ({as_line(error)}): {AGAIN}"
        ) from None
    for line in lines:
        name, _, rest = line.partition("\t")
        wnid, file = rest.partition("\t")[0], f"val/images/{name}"
        if wnid not in numbers:
            problem = f"gives {as_line(name)} a class without images"
        elif file not in known:
            problem = f"names {as_line(name)}, which is not among its images"
        elif file in test:
            problem = f"names {as_line(name)} twice"
        else:
            test[file] = numbers[wnid]
            continue
        raise DataError(f"{original.place}: {ANNOTATIONS} {problem}; {AGAIN}")
    train = [(match[0], numbers[match[1]]) for match in found]
    return {"train": in_fixed_order(train), "test": in_fixed_order(sorted(test.items()))}


@contextmanager
def _open_original(raw: Path) -> Iterator[Original]:
    """The unpacked tree, in which links are the user's own arrangement, or the archive."""
    tree, archive = raw / ROOT, raw / f"{ROOT}.zip"
    if tree.is_dir():
        names = [path.relative_to(tree).as_posix() for path in files_below(tree)]
        yield Original(tree, names, lambda name: read_file(tree / name, FILE_BYTES))
        return
    if not is_archive(archive):  # missing, or cut short: the index of a zip is at its end
        fetch(URL, archive, MD5, f"put {archive.name} or the unpacked {ROOT} into {raw}")
    with open_archive(archive, ROOT) as (names, load):
        yield Original(archive, names, load)
