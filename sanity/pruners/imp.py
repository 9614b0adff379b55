"""Iterative magnitude pruning: train, prune a share, rewind, repeat (Frankle & Carbin 2019)."""

from math import ceil, inf, log
from typing import ClassVar

from sanity.core.errors import ConfigError
from sanity.pruners.base import Pruner, Scores, Scoring
from sanity.pruners.magnitude import magnitudes

MOST_ROUNDS = 1000


class IMP(Pruner):
    """Prunes the smallest trained weights in rounds that each keep the same share of the rest.

    The share is 1 - ``rate`` or a little more, so that the last of the fewest possible rounds
    lands on the sparsity itself; ``rounds`` fixes their number instead. No dataclass, since its
    option ``rounds`` bears the name of the method that answers for it.
    """

    cites = ("frankle2019lottery",)
    needs_trained_weights: ClassVar[bool] = True
    linear_dense: ClassVar[bool] = True

    def __init__(self, rate: float = 0.2, rounds: int | None = None) -> None:
        self.rate = rate
        self.fixed_rounds = rounds

    def score(self, scoring: Scoring) -> Scores:
        """|w| after the training of this round."""
        return magnitudes(scoring.weights)

    def rounds(self, sparsity: float | None) -> int:
        """The fewest R with (1 - rate)^R <= 1 - sparsity, or the number given."""
        if not 0 < self.rate < 1:
            raise ConfigError(f"pruner.rate={self.rate}: must be between 0 and 1")
        if self.fixed_rounds is not None:
            if not 1 <= self.fixed_rounds <= MOST_ROUNDS:
                raise ConfigError(
                    f"pruner.rounds={self.fixed_rounds}: must be 1 or more, or null; at most "
                    f"{MOST_ROUNDS}"
                )
            return self.fixed_rounds
        assert sparsity is not None, "validated: IMP does not decide it"
        # The share of a tiny rate is lost in the 1, which leaves no progress at all.
        kept = log(1 - self.rate)
        exact = log(1 - sparsity) / kept if kept else inf
        if exact > MOST_ROUNDS:
            raise ConfigError(
                f"pruner.rate={self.rate}: would take more than {MOST_ROUNDS:,} rounds to "
                f"ratio.sparsity={sparsity}; raise it, or set pruner.rounds"
            )
        # 1 - 0.8 ** 3 is reached in 3 rounds, though its logarithms may divide to a bit above 3.
        return max(1, ceil(exact - 1e-9))
