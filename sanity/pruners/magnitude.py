"""Magnitude pruning at initialisation: the largest weights stay."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from sanity.pruners.base import Pruner, Scores, Scoring


def magnitudes(weights: Mapping[str, Tensor]) -> Scores:
    """|w| of every weight."""
    return {name: weight.detach().abs() for name, weight in weights.items()}


@dataclass
class Magnitude(Pruner):
    """Scores the weights a network starts from; needs neither training nor data.

    The classifier starts six times smaller than convolutions and more (standard deviation 0.01),
    so that competing with them it would be emptied: by default it stays dense, as for LT.
    """

    cites = ("frankle2021pruning",)
    linear_dense: ClassVar[bool] = True

    def score(self, scoring: Scoring) -> Scores:
        """|w| at initialisation."""
        return magnitudes(scoring.weights)
