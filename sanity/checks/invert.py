"""Inverted scores: does a method's ranking of the weights matter at all?"""

from dataclasses import dataclass

import torch

from sanity.checks.base import Effect, ScoreCheck
from sanity.pruners.base import Scores


@dataclass
class Invert(ScoreCheck):
    """Every score is negated: the weights that mattered least stay (Frankle et al. 2021)."""

    change = "inverted scores"
    uses = "the order of its scores"

    def perturb(self, scores: Scores, generator: torch.Generator) -> tuple[Scores, Effect]:
        """Counts the scores that changed; none has, if all are equal and no order was turned."""
        inverted = {name: -score for name, score in scores.items()}
        changed = sum(int((inverted[name] != score).sum()) for name, score in scores.items())
        if _all_equal(scores):
            changed = 0
        total = sum(score.numel() for score in scores.values())
        return inverted, Effect(changed, {"scores_changed": changed, "scores": total})


def _all_equal(scores: Scores) -> bool:
    lowest = min(float(score.min()) for score in scores.values())
    return lowest == max(float(score.max()) for score in scores.values())
