"""A sanity check perturbs one link of the chain and measures that it did."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from sanity.core.option import Option
from sanity.datasets.base import Examples
from sanity.pruners.base import Scores
from sanity.pruning.masks import Mask

Target = Literal["nothing", "data", "scores", "mask", "weights"]
Weights = dict[str, Tensor]
"""A state dict, in which the prunable weight of layer ``l`` is ``l + ".weight"``."""


@dataclass(frozen=True)
class Effect:
    """What a check changed: ``counts`` such as {"labels_changed": 1293, "labels": 1437}.

    ``changed`` is the number that must not be 0 for the check to have happened.
    """

    changed: int
    counts: Mapping[str, int | float]


class Check(Option, ABC):
    """Base of all checks; ``target`` names the link it perturbs.

    In reports ``change`` is what it makes of a ticket ("random labels"), and ``uses`` what a
    method depends on whose tickets get worse by it ("the labels"). A check of one's own goes by
    its name there: reports read records, and run no code that these name.
    """

    target: ClassVar[Target]
    change: ClassVar[str] = ""
    uses: ClassVar[str] = ""

    def validate(self) -> None:
        """Raise ConfigError for settings that are impossible; asked before any training."""
        return


class DataCheck(Check):
    """Perturbs the data that pruning sees; the ticket and the test set stay on clean data."""

    target: ClassVar[Target] = "data"

    @abstractmethod
    def corrupt(self, clean: Examples, generator: torch.Generator) -> tuple[Examples, Effect]:
        """New examples (the given ones stay untouched) and what differs."""


class ScoreCheck(Check):
    """Perturbs the scores, each time they are computed."""

    target: ClassVar[Target] = "scores"

    @abstractmethod
    def perturb(self, scores: Scores, generator: torch.Generator) -> tuple[Scores, Effect]:
        """New scores and what differs."""


class MaskCheck(Check):
    """Perturbs the finished mask."""

    target: ClassVar[Target] = "mask"

    @abstractmethod
    def perturb(self, mask: Mask, generator: torch.Generator) -> tuple[Mask, Effect]:
        """A new mask and what differs."""


class WeightCheck(Check):
    """Perturbs the weights a ticket starts from."""

    target: ClassVar[Target] = "weights"

    @abstractmethod
    def perturb(
        self, weights: Weights, mask: Mask, fresh: Callable[[], Weights], generator: torch.Generator
    ) -> tuple[Weights, Effect]:
        """New weights and what differs; ``fresh()`` draws initial ones of the same network."""


def by_layer(what: str, how: str, counts: Sequence[int], mask: Mask) -> Effect:
    """The effect on the weights that ``mask`` keeps, of which ``counts`` changed in its layers."""
    return Effect(
        sum(counts),
        {
            f"{what}_{how}": sum(counts),
            what: sum(int(keep.sum()) for keep in mask.values()),
            "layers_changed": sum(count > 0 for count in counts),
            "layers": len(mask),
        },
    )
