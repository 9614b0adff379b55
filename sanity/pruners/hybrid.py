"""Hybrid tickets: the smart ratio's layer counts, filled with the largest trained weights."""

from dataclasses import dataclass
from typing import ClassVar

from sanity.pruners.base import Pruner, Scores, Scoring
from sanity.pruners.magnitude import magnitudes


@dataclass
class Hybrid(Pruner):
    """Trained magnitudes compared within each layer only (Su et al. 2020, section 5)."""

    cites = ("su2020sanity",)
    needs_trained_weights: ClassVar[bool] = True
    needs_layer_counts: ClassVar[bool] = True

    def score(self, scoring: Scoring) -> Scores:
        """|w| after dense training."""
        return magnitudes(scoring.weights)
