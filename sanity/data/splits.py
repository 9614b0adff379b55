"""Training, validation and test examples of a run."""

import torch

from sanity.core.errors import ConfigError, listed
from sanity.core.streams import generator
from sanity.data.contents import missing
from sanity.data.order import stratified
from sanity.datasets.base import Dataset, Examples, Packed

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
        train, validation = train.pick(rest), train.pick(chosen)
    first = slice(dataset.limit)
    return train.pick(first), validation, packed.test.pick(first)


def check_sizes(dataset: Dataset, train_size: int | None) -> None:
    """Raise ConfigError for impossible sizes; ``train_size`` is None where it is not known yet."""
    if dataset.limit is not None and dataset.limit < 2:
        raise ConfigError(f"dataset.limit={dataset.limit}: must be 2 or more, or null for all")
    size = dataset.validation_size
    if size < 0 or (train_size is not None and size > train_size - 2):
        most = "" if train_size is None else f", leaving 2 of the {train_size} training images"
        raise ConfigError(f"dataset.validation_size={size}: must be 0 or more{most}")


def lost_classes(packed: Packed, dataset: Dataset, splits: Splits) -> list[str]:
    """What ``limit`` and ``validation_size`` leave no image of, a line a split.

    Raises ConfigError where all that is left to train with, or to test with, is of one class: then
    one answer is always right.
    """
    train, validation, test = splits
    whole = {"training": packed.train, "validation": packed.train, "test": packed.test}
    lines = []
    for name, examples in (("training", train), ("validation", validation), ("test", test)):
        if examples is None:
            continue
        known = set(missing(whole[name]))
        lost = [label for label in missing(examples) if label not in known]
        settings = _settings(dataset, name)
        if len(examples.labels.unique()) < 2 and name != "validation" and lost:
            raise ConfigError(
                f"{settings}: the {name} images that are left are all of class "
                f"{examples.class_name(int(examples.labels[0]))}; there must be two classes or more"
            )
        if lost:
            lines.append(
                f"{settings} leaves no {name} image of {len(lost):,} of {examples.num_classes:,} "
                f"classes: {listed(lost, 5)}"
            )
    return lines


def _settings(dataset: Dataset, name: str) -> str:
    """The settings that decide how many images there are for training, validation or testing."""
    sizes = {"validation_size": name != "test", "limit": name != "validation"}
    given = {size: getattr(dataset, size) for size, counts in sizes.items() if counts}
    return " ".join(f"dataset.{size}={value}" for size, value in given.items() if value)
