"""Training, validation and test examples of a run."""

import torch

from sanity.datasets.base import Dataset, Examples, Packed
from sanity.datasets.order import stratified
from sanity.errors import ConfigError
from sanity.streams import generator

Splits = tuple[Examples, Examples | None, Examples]


def split(packed: Packed, dataset: Dataset, seed: int) -> Splits:
    """Training, validation (None unless ``validation_size`` is set) and test examples.

    Validation examples are drawn by the run's ``split`` stream, each class by its share, which is
    equal numbers where classes are of equal size. ``limit`` then keeps the first training and
    test examples in packed order. Raises ConfigError for sizes that the data set does not have.
    """
    check_sizes(dataset, len(packed.train))
    train, validation = packed.train, None
    if dataset.validation_size:
        order = torch.randperm(len(train), generator=generator(seed, "split"))
        chosen = stratified(train.labels, dataset.validation_size, order)
        rest = torch.ones(len(train), dtype=torch.bool)
        rest[chosen] = False
        train, validation = _pick(train, rest), _pick(train, chosen)
    return _first(train, dataset.limit), validation, _first(packed.test, dataset.limit)


def check_sizes(dataset: Dataset, train_size: int | None) -> None:
    """Raise ConfigError where ``validation_size`` or ``limit`` is impossible.

    ``train_size`` is the number of training images, None where it is not known yet.
    """
    if dataset.limit is not None and dataset.limit < 2:
        raise ConfigError(f"dataset.limit={dataset.limit}: must be 2 or more, or null for all")
    size = dataset.validation_size
    if size < 0 or (train_size is not None and size > train_size - 2):
        most = "" if train_size is None else f", leaving 2 of the {train_size} training images"
        raise ConfigError(f"dataset.validation_size={size}: must be 0 or more{most}")


def _pick(examples: Examples, which: torch.Tensor) -> Examples:
    return Examples(examples.images[which], examples.labels[which], examples.num_classes)


def _first(examples: Examples, count: int | None) -> Examples:
    return Examples(examples.images[:count], examples.labels[:count], examples.num_classes)
