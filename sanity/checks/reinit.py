"""Reinitialisation: do the ticket's weights matter, or its mask alone?"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from sanity.checks.base import Effect, WeightCheck
from sanity.pruning.masks import Mask


@dataclass
class Reinit(WeightCheck):
    """The ticket starts from new initial weights, under the same mask (Frankle et al. 2021).

    Biases and batch norms are drawn anew with them: a state that mixes two networks is neither.
    """

    change = "new weights"
    uses = "its initial weights"

    def perturb(
        self,
        weights: dict[str, Tensor],
        mask: Mask,
        fresh: Callable[[], dict[str, Tensor]],
        generator: torch.Generator,
    ) -> tuple[dict[str, Tensor], Effect]:
        """Counts the surviving weights that got another value."""
        drawn = fresh()
        keys = {f"{name}.weight": keep for name, keep in mask.items()}
        changed = [
            int((drawn[key].cpu() != weights[key].cpu())[keep].sum()) for key, keep in keys.items()
        ]
        counts = {
            "values_changed": sum(changed),
            "values": sum(int(keep.sum()) for keep in mask.values()),
            "layers_changed": sum(count > 0 for count in changed),
            "layers": len(mask),
        }
        return drawn, Effect(sum(changed), counts)
