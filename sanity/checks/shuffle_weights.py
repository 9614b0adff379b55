"""Layer-wise weight shuffling: does it matter which value sits at which kept position?"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from sanity.checks.base import Effect, WeightCheck, Weights, by_layer
from sanity.pruning.masks import Mask


def shuffle_survivors(weight: Tensor, keep: Tensor, generator: torch.Generator) -> Tensor:
    """A copy of ``weight`` with its surviving values permuted among the surviving positions."""
    keep = keep.to(weight.device)
    survivors = weight[keep]
    order = torch.randperm(len(survivors), generator=generator).to(weight.device)
    return weight.masked_scatter(keep, survivors[order])


@dataclass
class ShuffleWeights(WeightCheck):
    """Every layer's surviving weights swap places; all else stays (Su et al. 2020, section 3)."""

    cites = ("su2020sanity",)
    change = "shuffled weights"
    uses = "which weight sits where"

    def perturb(
        self, weights: Weights, mask: Mask, fresh: Callable[[], Weights], generator: torch.Generator
    ) -> tuple[Weights, Effect]:
        """Counts the surviving positions that got another value."""
        shuffled = dict(weights)
        moved = []
        for name, keep in mask.items():
            key = f"{name}.weight"
            shuffled[key] = shuffle_survivors(weights[key], keep, generator)
            moved.append(int((shuffled[key] != weights[key]).sum()))
        return shuffled, by_layer("values", "moved", moved, mask)
