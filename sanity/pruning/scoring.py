"""The data a pruner scores by: how many class-balanced batches, and which examples are in them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Ge
from torch import Tensor

from sanity.core.errors import ConfigError, listed
from sanity.networks.layers import Blueprint
from sanity.pruners.base import Pruner


@dataclass
class DataDriven(Pruner):
    """Base of pruners that score by ``samples_per_class`` images, dealt into ``batches``."""

    needs_data: ClassVar[bool] = True
    fewest_batches: ClassVar[int] = 1  # where their number is "auto"

    samples_per_class: Annotated[int, Ge(1)] = 10
    batches: Annotated[int, Ge(1)] | Literal["auto"] = "auto"

    def scoring_batches(self, blueprint: Blueprint, num_classes: int) -> int:
        """The fewest, or one sample of each class a batch where those would not fit a GPU.

        The reference splits for ResNets deeper than 32 (34 prunable layers) and for Tiny-ImageNet
        (200 classes).
        """
        deep = blueprint.shortcuts and len(blueprint.layers) > 34
        samples = self.samples_per_class if deep or num_classes >= 200 else 1
        automatic = max(self.fewest_batches, samples)
        return checked_batches(self.batches, automatic, self.samples_per_class)


def checked_batches(batches: int | str, automatic: int, samples_per_class: int) -> int:
    """The number of batches that ``pruner.batches`` asks for, ``automatic`` for "auto".

    Raises ConfigError where samples_per_class cannot be dealt into equal shares.
    """
    if samples_per_class < 1:
        raise ConfigError(f"pruner.samples_per_class={samples_per_class}: must be 1 or more")
    count = automatic if batches == "auto" else batches
    if not isinstance(count, int) or count < 1:
        raise ConfigError(f"pruner.batches={batches}: must be 1 or more, or auto")
    if samples_per_class % count:
        raise ConfigError(
            f"pruner.samples_per_class={samples_per_class}: cannot be dealt evenly into {count} "
            f"batches (pruner.batches={batches}); choose a multiple of {count}"
        )
    return count


def deal(
    labels: Tensor,
    num_classes: int,
    samples_per_class: int,
    batches: int,
    generator: torch.Generator,
    class_name: Callable[[int], str] = str,
) -> list[Tensor]:
    """Draw ``samples_per_class`` examples of each class, without repeats, into balanced batches.

    Every batch is an index tensor into ``labels`` with samples_per_class / batches examples of
    each class. Raises ConfigError where classes have too few examples, which it names by
    ``class_name``, or shares are not equal.
    """
    checked_batches(batches, batches, samples_per_class)
    order = torch.randperm(len(labels), generator=generator)
    shuffled = labels[order]
    counts = torch.bincount(labels, minlength=num_classes).tolist()
    few = [f"{class_name(i)} ({n})" for i, n in enumerate(counts) if n < samples_per_class]
    if few:
        fewest = min(counts)
        advice = f"choose at most {fewest}" if fewest else "images of each are needed"
        raise ConfigError(
            f"pruner.samples_per_class={samples_per_class}: pruning sees fewer examples of "
            f"{len(few)} of the {num_classes} classes: {listed(few)}; {advice}"
        )
    hands = [
        order[shuffled == label][:samples_per_class].view(batches, -1)
        for label in range(num_classes)
    ]
    return list(torch.cat(hands, dim=1))
