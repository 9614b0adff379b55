"""Lottery tickets by one-shot magnitude pruning after training (Frankle & Carbin 2019)."""

from dataclasses import dataclass
from typing import ClassVar

from sanity.pruners.base import Pruner, Scores, Scoring
from sanity.pruners.magnitude import magnitudes
from sanity.ratios.base import floor_share


@dataclass
class LT(Pruner):
    """Keeps the largest trained weights and, by default, the whole last linear layer."""

    cites = ("frankle2019lottery",)
    needs_trained_weights: ClassVar[bool] = True
    linear_dense: ClassVar[bool] = True

    def score(self, scoring: Scoring) -> Scores:
        """|w| after dense training."""
        return magnitudes(scoring.weights)

    def kept(self, total: int, sparsity: float | None) -> int:
        """N - floor(N p) - 1: the reference also drops the weight that is its threshold."""
        assert sparsity is not None, "validated: LT does not decide it"
        return total if sparsity == 0 else total - floor_share(total, sparsity) - 1
