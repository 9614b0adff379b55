"""SNIP: connection sensitivity at initialisation (Lee et al. 2019)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
import torch.nn.functional as F
from annotated_types import Ge
from torch import Tensor, nn

from sanity.networks.layers import Blueprint
from sanity.pruners.base import Batches, Pruner, Scores, Scoring
from sanity.pruning.scoring import automatic_batches, checked_batches


def summed_gradients(
    network: nn.Module, weights: Mapping[str, Tensor], batches: Batches, temperature: float = 1.0
) -> dict[str, Tensor]:
    """Gradients of each batch's mean cross-entropy of logits / temperature, summed over batches.

    Batch norms should be in training mode: at initialisation their running statistics say nothing.
    """
    sums = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    for images, labels in batches:
        loss = F.cross_entropy(network(images) / temperature, labels)
        gradients = torch.autograd.grad(loss, list(weights.values()))
        for total, gradient in zip(sums.values(), gradients, strict=True):
            total += gradient
    return sums


@dataclass
class SNIP(Pruner):
    """Keeps the weights whose removal would change the loss most, to first order.

    ``batches`` is a number or "auto"; gradients are summed over the batches before the score is
    taken, as in the reference.
    """

    needs_data: ClassVar[bool] = True

    samples_per_class: Annotated[int, Ge(1)] = 10
    batches: Annotated[int, Ge(1)] | Literal["auto"] = "auto"

    def score(self, scoring: Scoring) -> Scores:
        """|w * dL/dw| (Lee et al. 2019, section 4.1, without its normalisation)."""
        weights = scoring.weights
        gradients = summed_gradients(scoring.network.train(), weights, scoring.batches)
        return {name: (weight.detach() * gradients[name]).abs() for name, weight in weights.items()}

    def scoring_batches(self, blueprint: Blueprint, num_classes: int) -> int:
        """One batch for small networks, else one sample of each class a batch."""
        automatic = automatic_batches(blueprint, num_classes, self.samples_per_class)
        return checked_batches(self.batches, automatic, self.samples_per_class)
