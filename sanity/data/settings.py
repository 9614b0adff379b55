"""A data set's settings: checked, completed from its contents, and named for keys."""

from dataclasses import MISSING, fields, replace
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from sanity.core import option
from sanity.core.errors import ConfigError
from sanity.data.packing import open_packed
from sanity.data.splits import check_sizes
from sanity.datasets.base import Dataset

FACTS = ("name", "num_classes", "channels", "image_size", "pixel_max")
FILLED_IN = ("num_classes", "image_size", "mean", "std")
IDENTITY = (
    *("name", "num_classes", "channels", "image_size", "mean", "std", "pixel_max"),
    *("crop_padding", "flip", "validation_size", "limit"),
)
MOST_PADDING = 256  # pixels on every side, beyond which images are mostly nothing
CHUNK = 1024  # images whose moments are taken at a time


def resolve(dataset: Dataset, data_dir: Path) -> Dataset:
    """The data set with null settings filled in; named ones come back without a look at the disk.

    Raises ConfigError for a setting that is impossible, and what ``open_packed`` raises.
    """
    dataset = _checked(dataset)
    if dataset.named and all(getattr(dataset, name) is not None for name in FILLED_IN):
        return dataset
    packed = open_packed(dataset, data_dir)
    check_sizes(dataset, len(packed.train))
    _check_padding(dataset, packed.train.images.shape[1])
    mean, std = dataset.mean, dataset.std
    if mean is None or std is None:
        measured = moments(packed.train.images, dataset.pixel_max)
        mean, std = mean or measured[0], std or measured[1]
        if min(std) <= 0:
            raise ConfigError("the training images have a channel of one colour: set dataset.std")
    return replace(
        dataset,
        num_classes=packed.train.num_classes,
        image_size=packed.train.images.shape[1],
        mean=mean,
        std=std,
        fingerprint=None if dataset.named else packed.fingerprint,
        directory=dataset.packed_as,
    )


def identity(dataset: Dataset) -> dict[str, Any]:
    """What determines the numbers a resolved data set gives, for content-addressed keys."""
    settings = {name: getattr(dataset, name) for name in IDENTITY}
    if dataset.named:
        settings |= dataset.own_settings
    else:
        assert dataset.fingerprint is not None, "resolve the data set first"
        settings["fingerprint"] = dataset.fingerprint
    return option.identity(type(dataset), settings)


def moments(images: Tensor, pixel_max: int) -> tuple[list[float], list[float]]:
    """Mean and standard deviation per channel of images [N, H, W, C] as shares of ``pixel_max``.

    They are taken from counts of the 256 pixel values, exact whatever the order of the images,
    and rounded to 6 digits.
    """
    channels = images.shape[-1]
    counts = np.zeros((channels, 256), dtype=np.int64)
    for chunk in images.split(CHUNK):
        for channel in range(channels):
            counts[channel] += np.bincount(chunk[..., channel].flatten().numpy(), minlength=256)
    values = np.arange(256) / pixel_max
    shares = counts / counts.sum(axis=1, keepdims=True)
    mean = shares @ values
    variance = (shares * (values - mean[:, None]) ** 2).sum(axis=1)
    return [round(float(m), 6) for m in mean], [round(float(v) ** 0.5, 6) for v in variance]


def _checked(dataset: Dataset) -> Dataset:
    """The data set with mean and std as floats; raises ConfigError for settings out of range."""
    if dataset.named:
        _check_facts(dataset)
    least = {"channels": 1, "pixel_max": 1, "image_size": 1, "crop_padding": 0, "num_classes": 2}
    for name, limit in least.items():
        value = getattr(dataset, name)
        if value is not None and value < limit:
            raise ConfigError(f"dataset.{name}={value}: must be {limit} or more")
    for name, limit in {"crop_padding": MOST_PADDING, "pixel_max": 255}.items():
        value = getattr(dataset, name)
        if value > limit:
            raise ConfigError(f"dataset.{name}={value}: must be {limit} or less")
    dataset = replace(
        dataset, mean=_channel_values(dataset, "mean"), std=_channel_values(dataset, "std")
    )
    if not all(0 <= value <= 1 for value in dataset.mean or []):
        raise ConfigError(f"dataset.mean={dataset.mean}: must be shares of pixel_max, from 0 to 1")
    if not all(value > 0 for value in dataset.std or []):
        raise ConfigError(f"dataset.std={dataset.std}: must be above 0")
    if not all(value <= 1 for value in dataset.std or []):
        raise ConfigError(f"dataset.std={dataset.std}: must be shares of pixel_max, 1 or less")
    _check_padding(dataset, dataset.image_size)
    check_sizes(dataset, dataset.sizes.get("train"))
    return dataset


def _channel_values(dataset: Dataset, name: str) -> list[float] | None:
    given = getattr(dataset, name)
    if given is None:
        return None
    try:
        values = [float(value) for value in given]
    except (TypeError, ValueError):
        values = []
    if len(values) != dataset.channels or not all(map(isfinite, values)):
        raise ConfigError(
            f"dataset.{name}={given}: must be a list of numbers, one a channel ({dataset.channels})"
        )
    return values


def _check_padding(dataset: Dataset, image_size: int | None) -> None:
    """A crop must show something of the image; None where its size is not known yet."""
    if image_size is not None and dataset.crop_padding >= image_size:
        raise ConfigError(
            f"dataset.crop_padding={dataset.crop_padding}: must be less than the {image_size} "
            "pixels of an image's side"
        )


def _check_facts(dataset: Dataset) -> None:
    """What a name stands for cannot be set; a class of one's own may leave it without default."""
    for field in fields(dataset):
        value, fact = getattr(dataset, field.name), field.default
        if field.name in FACTS and fact is not MISSING and value != fact:
            raise ConfigError(
                f"dataset.{field.name}={value}: a fact of {type(dataset).__name__} ({fact}) that "
                "cannot be set"
            )
