"""Test images that are training images as well: on these a network shows what it remembers."""

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from sanity.core.errors import DataError, as_line
from sanity.datasets.base import Dataset, Examples

log = logging.getLogger(__name__)

MOST = 0.05  # of the test images; more is a mistake, such as a copy of the training images


@dataclass(frozen=True)
class Overlap:
    """How many test images have the pixels of a training image, and the first (test, train)."""

    count: int
    pair: tuple[int, int] | None


def find_overlap(train: Tensor, test: Tensor) -> Overlap:
    """Compare all images [N, H, W, C] pixel by pixel, by their digests."""
    if train.shape[1:] != test.shape[1:]:
        return Overlap(0, None)
    seen: dict[bytes, int] = {}
    for position, digest in enumerate(digests(train)):
        seen.setdefault(digest, position)
    pairs = [(i, seen[digest]) for i, digest in enumerate(digests(test)) if digest in seen]
    return Overlap(len(pairs), pairs[0] if pairs else None)


def digests(images: Tensor) -> list[bytes]:
    """A digest of the pixels of each image [N, H, W, C] (128 bits)."""
    rows = images.contiguous().numpy().reshape(len(images), -1)
    return [hashlib.blake2b(row.data, digest_size=16).digest() for row in rows]


def count_overlap(dataset: Dataset, splits: Mapping[str, Examples], where: str) -> int:
    """The number of test images that occur in training, warned of; DataError for too many."""
    found = find_overlap(splits["train"].images, splits["test"].images)
    example = _example(dataset, found)
    total = len(splits["test"])
    check_overlap(dataset, found.count, total, where, example)
    if found.count:
        log.warning(
            "%s: %d of the %d test images are training images as well%s",
            *(where, found.count, total, example),
        )
    return found.count


def check_overlap(dataset: Dataset, count: int, total: int, where: str, example: str = "") -> None:
    """Raise DataError where too many of ``total`` test images occur in training.

    A data set whose pixels are published is what it is.
    """
    if count > MOST * total and not dataset.pixel_digests:
        raise DataError(
            f"{where}: {count} of the {total} test images are training images as well{example}; "
            "test images must be others: take them out of one of the two, and run again"
        )


def _example(dataset: Dataset, found: Overlap) -> str:
    if found.pair is None:
        return ""
    test, train = (
        dataset.original(s, i) for s, i in zip(("test", "train"), found.pair, strict=True)
    )
    return f" ({as_line(test)} is {as_line(train)})" if test and train else ""
