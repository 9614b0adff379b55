"""Random tickets: positions drawn uniformly, so that the layer-wise ratio is all that counts."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from sanity.pruners.base import Pruner, Scores, Scoring


@dataclass
class Random(Pruner):
    """Scores drawn uniformly from [0, 1), blind to data and weights."""

    cites = ("su2020sanity",)
    scores_are_random: ClassVar[bool] = True

    def score(self, scoring: Scoring) -> Scores:
        """Independent draws from the run's mask stream, layer by layer in module order."""
        return {
            # Single precision has 2^24 values: draws for millions of weights would often be equal,
            # and ties go to the earlier position.
            layer.name: torch.rand(layer.shape, dtype=torch.float64, generator=scoring.generator)
            for layer in scoring.blueprint.layers
        }
