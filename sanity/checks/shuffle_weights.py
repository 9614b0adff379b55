"""Layer-wise weight shuffling: does it matter which value sits at which kept position?"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from sanity.checks.base import Effect, WeightCheck
from sanity.pruning.masks import Mask


def shuffle_survivors(weight: Tensor, keep: Tensor, generator: torch.Generator) -> Tensor:
    """A copy of ``weight`` with its surviving values permuted among the surviving positions."""
    keep = keep.to(weight.device)
    survivors = weight[keep]
    order = torch.randperm(len(survivors), generator=generator).to(weight.device)
    return weight.masked_scatter(keep, survivors[order])


@dataclass
class ShuffleWeights(WeightCheck):
    """Every layer's surviving weights swap places; mask, biases and batch norms stay.

    Su et al. 2020, section 3.
    """

    change = "shuffled weights"
    uses = "which weight sits where"

    def perturb(
        self,
        weights: dict[str, Tensor],
        mask: Mask,
        fresh: Callable[[], dict[str, Tensor]],
        generator: torch.Generator,
    ) -> tuple[dict[str, Tensor], Effect]:
        """Counts the surviving positions that got another value."""
        shuffled = dict(weights)
        moved = []
        for name, keep in mask.items():
            key = f"{name}.weight"
            shuffled[key] = shuffle_survivors(weights[key], keep, generator)
            moved.append(int((shuffled[key] != weights[key]).sum()))
        counts = {
            "values_moved": sum(moved),
            "values": sum(int(keep.sum()) for keep in mask.values()),
            "layers_changed": sum(count > 0 for count in moved),
            "layers": len(mask),
        }
        return shuffled, Effect(sum(moved), counts)
