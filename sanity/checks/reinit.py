"""Reinitialisation: do the ticket's weights matter, or its mask alone?"""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from sanity.checks.base import Effect, WeightCheck, Weights, by_layer
from sanity.pruning.masks import Mask


@dataclass
class Reinit(WeightCheck):
    """The ticket starts from new initial weights, under the same mask (Frankle et al. 2021).

    Biases and batch norms are drawn anew with them: a state that mixes two networks is neither.
    """

    cites = ("frankle2021pruning",)
    change = "new weights"
    uses = "its initial weights"

    def perturb(
        self, weights: Weights, mask: Mask, fresh: Callable[[], Weights], generator: torch.Generator
    ) -> tuple[Weights, Effect]:
        """Counts the surviving weights that got another value."""
        drawn = fresh()
        keys = {f"{name}.weight": keep for name, keep in mask.items()}
        changed = [
            int((drawn[key].cpu() != weights[key].cpu())[keep].sum()) for key, keep in keys.items()
        ]
        return drawn, by_layer("values", "changed", changed, mask)
