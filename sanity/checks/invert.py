"""Inverted scores: does a method's ranking of the weights matter at all?"""

from dataclasses import dataclass

import torch

from sanity.checks.base import Effect, ScoreCheck
from sanity.pruners.base import Scores


@dataclass
class Invert(ScoreCheck):
    """Every score is negated: the weights that mattered least stay (Frankle et al. 2021)."""

    cites = ("frankle2021pruning",)
    change = "inverted scores"
    uses = "the order of its scores"

    def perturb(self, scores: Scores, generator: torch.Generator) -> tuple[Scores, Effect]:
        """Counts the scores that changed; none has, if all are equal and no order was turned."""
        inverted = {name: -score for name, score in scores.items()}
        pool = torch.cat([score.flatten() for score in scores.values()])
        changed = 0 if pool.min() == pool.max() else int(pool.count_nonzero())
        return inverted, Effect(changed, {"scores_changed": changed, "scores": len(pool)})
