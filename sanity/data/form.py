"""Whether packed examples are what a data set's settings and published facts say."""

import hashlib
from collections.abc import Mapping

import torch

from sanity.core.errors import DataError
from sanity.datasets.base import Dataset, Examples

AGAIN = "delete the file to pack it again, or change the settings"


def check_form(dataset: Dataset, split: str, examples: Examples, where: str) -> None:
    """Raise DataError, which begins with ``where``, for wrong types, shapes and ranges."""
    images, labels = examples.images, examples.labels
    if images.dtype != torch.uint8 or labels.dtype != torch.int64:
        raise DataError(
            f"{where}: images must be uint8 and labels int64, not {images.dtype} and {labels.dtype}"
        )
    if images.ndim != 4 or labels.ndim != 1 or len(images) != len(labels) or not len(labels):
        raise DataError(
            f"{where}: images {list(images.shape)} and labels {list(labels.shape)} are no "
            f"[N, H, W, C] and [N]; {AGAIN}"
        )
    size = dataset.image_size or max(1, images.shape[1])
    expected = [size, size, dataset.channels]
    if list(images.shape[1:]) != expected:
        raise DataError(f"{where}: images are {list(images.shape[1:])}, not {expected}; {AGAIN}")
    if dataset.num_classes not in (None, examples.num_classes):
        raise DataError(
            f"{where}: {examples.num_classes} classes instead of {dataset.num_classes}; {AGAIN}"
        )
    lowest, highest = int(labels.min()), int(labels.max())
    if lowest < 0 or highest >= examples.num_classes:
        raise DataError(
            f"{where}: labels run from {lowest} to {highest}, not within the "
            f"{examples.num_classes} classes; {AGAIN}"
        )
    # At 255 every byte is allowed, and the pixels need not be read.
    if dataset.pixel_max < 255 and int(images.max()) > dataset.pixel_max:
        raise DataError(
            f"{where}: a pixel is {int(images.max())}, above dataset.pixel_max={dataset.pixel_max}"
        )
    if len(labels) != dataset.sizes.get(split, len(labels)):
        raise DataError(f"{where}: {len(labels)} images instead of {dataset.sizes[split]}; {AGAIN}")


def check_alike(splits: Mapping[str, Examples], where: str) -> None:
    """Raise DataError, which begins with ``where``, for splits with images of different sizes."""
    train, test = (list(splits[name].images.shape[1:3]) for name in ("train", "test"))
    if train != test:
        raise DataError(
            f"{where}: training images are {train} and test images {test}: set dataset.image_size "
            "to resize them"
        )


def check_known(dataset: Dataset, split: str, examples: Examples, where: str) -> None:
    """Raise DataError, which begins with ``where``, for other contents than those published."""
    for what, known, tensor in (
        ("pixels", dataset.pixel_digests, examples.images),
        ("labels", dataset.label_digests, examples.labels),
    ):
        if split not in known:
            continue
        digest = hashlib.sha256(tensor.contiguous().numpy().data).hexdigest()
        if digest != known[split]:
            raise DataError(
                f"{where}: these are not the {what} of {dataset.name} (sha256 {digest[:12]}..., "
                f"not {known[split][:12]}...); {AGAIN}"
            )
