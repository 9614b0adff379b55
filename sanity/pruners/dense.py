"""No pruning: the baseline that tickets are compared with."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from sanity.pruners.base import Pruner, Scores, Scoring


@dataclass
class Dense(Pruner):
    """Keeps everything, at sparsity 0."""

    prunes: ClassVar[bool] = False

    def score(self, scoring: Scoring) -> Scores:
        """Equal scores: nothing is to be told apart."""
        return {name: torch.ones(weight.shape) for name, weight in scoring.weights.items()}
