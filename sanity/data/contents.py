"""What the images and labels of a data set show that a reader of its results should know.

On test images that are training images as well a network shows what it remembers.
"""

import hashlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sanity.core.errors import DataError, as_line, listed
from sanity.datasets.base import SPLIT_NAMES, Dataset, Examples

log = logging.getLogger(__name__)

MOST = 0.05  # of the test images; more is a mistake, such as a copy of the training images
MAJORITY = 1.5  # times its fair share: from there on a class's share of the test set is told
CHUNK = 1024  # images that are looked at at a time


Hashes = Mapping[str, Sequence[bytes]]
"""Split -> a digest of the pixels of each of its images, which are of one shape in all splits."""


@dataclass(frozen=True)
class Overlap:
    """How many test images have the pixels of a training image, and the first (test, train)."""

    count: int
    pair: tuple[int, int] | None


def check_classes(splits: Mapping[str, Examples], where: str) -> None:
    """Raise DataError, which begins with ``where``, where labels cannot be learned or judged.

    Training images of every class there must be, test images of two at least: any answer that is
    always the same would be right on those of one.
    """
    train, test = splits["train"], splits["test"]
    if train.num_classes < 2:
        only = f" ({train.class_name(0)})" if train.names else ""
        raise DataError(
            f"{where}: has one class alone{only}, so that every answer is right; there must be two "
            "or more"
        )
    absent = missing(train)
    if absent:
        raise DataError(
            f"{where}: only {train.num_classes - len(absent)} of {train.num_classes} classes occur "
            f"among the training images; there is none of {listed(absent, 5)}"
        )
    present = test.labels.unique().tolist()
    if len(present) < 2:
        raise DataError(
            f"{where}: all test images are of one class ({test.class_name(present[0])}), so that "
            "one answer is always right; there must be images of the others, too"
        )


def missing(examples: Examples) -> list[str]:
    """The classes without an example, by name."""
    counts = torch.bincount(examples.labels, minlength=examples.num_classes)
    return [examples.class_name(label) for label in (counts == 0).nonzero().flatten().tolist()]


def look_into(
    dataset: Dataset, splits: Mapping[str, Examples], hashes: Hashes, where: str
) -> list[str]:
    """What is to be known of a data set, in a few lines; raises DataError where all are alike."""
    found = [remark for examples in splits.values() for remark in examples.remarks]
    train, test = splits["train"], splits["test"]
    if len(set(hashes["train"])) == 1 and len(train) > 1:
        raise DataError(f"{where}: all {len(train):,} training images are the same")
    absent = missing(test)
    if absent:
        found.append(
            f"{len(absent):,} of {test.num_classes:,} classes have no test image: "
            f"{listed(absent, 5)}"
        )
    found += _majority(test)
    for split, examples in splits.items():
        count = _one_colour(examples.images)
        if count:
            found.append(
                f"{count:,} of the {len(examples):,} {SPLIT_NAMES[split]} images are of one colour"
            )
    found += _contradictions(dataset, splits, hashes)
    copies = len(train) - len(set(hashes["train"]))
    if copies:
        found.append(f"{copies:,} of the {len(train):,} training images are copies of others")
    return [as_line(remark) for remark in found]


def _majority(test: Examples) -> Iterator[str]:
    """A class so frequent that to answer nothing else is better than it looks."""
    counts = torch.bincount(test.labels, minlength=test.num_classes)
    share = float(counts.max()) / len(test)
    if share > MAJORITY / test.num_classes:
        yield (
            f"{100 * share:.0f}% of the test images are of class "
            f"{test.class_name(int(counts.argmax()))}: a network that answers nothing else is "
            "right as often"
        )


def _one_colour(images: Tensor) -> int:
    """How many images have the same values in all their pixels; of one pixel, none is counted."""
    if images.shape[1] * images.shape[2] == 1:
        return 0
    count = 0
    for chunk in images.split(CHUNK):
        pixels = chunk.flatten(1, 2)
        count += int((pixels == pixels[:, :1]).all(dim=(1, 2)).sum())
    return count


def _contradictions(
    dataset: Dataset, splits: Mapping[str, Examples], hashes: Hashes
) -> Iterator[str]:
    """Images that occur under several classes, whichever split they are in."""
    seen: dict[bytes, list[tuple[int, str, int]]] = {}
    for split, examples in splits.items():
        for i, (key, label) in enumerate(zip(hashes[split], examples.labels.tolist(), strict=True)):
            places = seen.setdefault(key, [])
            if label not in (place[0] for place in places):
                places.append((label, split, i))
    several = [places for places in seen.values() if len(places) > 1]
    if several:
        names = [
            splits[split].class_name(label) + _file(dataset, split, i)
            for label, split, i in several[0]
        ]
        yield (
            f"images that occur under more than one class: {len(several):,}, such as one of "
            f"{' and '.join(names)}"
        )


def _file(dataset: Dataset, split: str, index: int) -> str:
    """The file of an image in brackets, where it is known."""
    file = dataset.original(split, index)
    return f" ({as_line(file)})" if file else ""


def find_overlap(hashes: Hashes) -> Overlap:
    """Compare all images of both splits pixel by pixel, by their digests."""
    seen: dict[bytes, int] = {}
    for position, digest in enumerate(hashes["train"]):
        seen.setdefault(digest, position)
    pairs = [(i, seen[digest]) for i, digest in enumerate(hashes["test"]) if digest in seen]
    return Overlap(len(pairs), pairs[0] if pairs else None)


def hash_images(splits: Mapping[str, Examples]) -> Hashes:
    """The digests of all images of a data set, which take a while where there are many."""
    return {split: digests(examples.images) for split, examples in splits.items()}


def digests(images: Tensor) -> list[bytes]:
    """A digest of the pixels of each image [N, H, W, C] (128 bits)."""
    rows = images.contiguous().numpy().reshape(len(images), -1)
    return [hashlib.blake2b(row.data, digest_size=16).digest() for row in rows]


def count_overlap(dataset: Dataset, hashes: Hashes, where: str) -> int:
    """The number of test images that occur in training, warned of; DataError for too many."""
    found = find_overlap(hashes)
    example = _example(dataset, found)
    total = len(hashes["test"])
    check_overlap(dataset, found.count, total, where, example)
    if found.count:
        log.warning(
            "%s: %d of the %d test images are training images as well%s",
            *(where, found.count, total, example),
        )
    return found.count


def check_overlap(dataset: Dataset, count: int, total: int, where: str, example: str = "") -> None:
    """Raise DataError for too many test images in training; published data are what they are."""
    if count > MOST * total and not dataset.pixel_digests:
        raise DataError(
            f"{where}: {count} of the {total} test images are training images as well{example}; "
            "test images must be others: take them out of one of the two, and run again"
        )


def _example(dataset: Dataset, found: Overlap) -> str:
    if found.pair is None:
        return ""
    test, train = dataset.original("test", found.pair[0]), dataset.original("train", found.pair[1])
    return f" ({as_line(test)} is {as_line(train)})" if test and train else ""
