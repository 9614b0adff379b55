"""SNIP: connection sensitivity at initialisation (Lee et al. 2019)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sanity.pruners.base import Batches, Scores, Scoring
from sanity.pruning.gradients import gradients
from sanity.pruning.scoring import DataDriven


def summed_gradients(
    network: nn.Module, weights: Mapping[str, Tensor], batches: Batches, temperature: float = 1.0
) -> dict[str, Tensor]:
    """Gradients of each batch's mean cross-entropy of logits / temperature, summed over batches.

    Batch norms should be in training mode: at initialisation their running statistics say nothing.
    """
    sums = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    for images, labels in batches:
        loss = F.cross_entropy(network(images) / temperature, labels)
        for name, gradient in gradients(loss, weights).items():
            sums[name] += gradient
    return sums


@dataclass
class SNIP(DataDriven):
    """Keeps the weights whose removal would change the loss most, to first order.

    Gradients are summed over the batches before the score is taken, as in the reference.
    """

    cites = ("lee2019snip",)
    adds_up: ClassVar[bool] = True

    def score(self, scoring: Scoring) -> Scores:
        """|w * dL/dw| (Lee et al. 2019, section 4.1, without its normalisation)."""
        weights = scoring.weights
        sums = summed_gradients(scoring.network.train(), weights, scoring.batches)
        return {name: (weight.detach() * sums[name]).abs() for name, weight in weights.items()}
