"""GraSP: keep the weights that preserve gradient flow (Wang et al. 2020)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from sanity.core.errors import ConfigError
from sanity.pruners.base import Batches, Scores, Scoring
from sanity.pruners.snip import summed_gradients
from sanity.pruning.gradients import gradients
from sanity.pruning.scoring import DataDriven
from sanity.ratios.base import floor_share


def hessian_gradient_product(
    network: nn.Module, weights: Mapping[str, Tensor], batches: Batches, temperature: float
) -> dict[str, Tensor]:
    """Hg, the gradient of <g, grad L> with g held fixed; L and g are sums over the batches."""
    with sdpa_kernel(SDPBackend.MATH):  # the only attention with second derivatives
        return _product(network, weights, batches, temperature)


def _product(
    network: nn.Module, weights: Mapping[str, Tensor], batches: Batches, temperature: float
) -> dict[str, Tensor]:
    direction = summed_gradients(network, weights, batches, temperature)
    products = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    for images, labels in batches:
        loss = F.cross_entropy(network(images) / temperature, labels)
        first = gradients(loss, weights, create_graph=True)
        inner = torch.stack(
            [(fixed * first[name]).sum() for name, fixed in direction.items()]
        ).sum()
        for name, part in gradients(inner, weights).items():
            products[name] += part
    return products


@dataclass
class GraSP(DataDriven):
    """Removes the weights whose removal hurts the norm of the gradient least, or even helps it.

    Other than in the reference every batch holds all classes, and the linear layer is scored with
    its real weights. Logits are divided by ``temperature``.
    """

    cites = ("wang2020picking",)
    fewest_batches: ClassVar[int] = 2
    adds_up: ClassVar[bool] = True  # times the square of the number of parts

    temperature: float = 200.0

    def validate(self) -> None:
        """A temperature divides, so it must not be 0."""
        super().validate()
        if self.temperature <= 0:
            raise ConfigError(f"pruner.temperature={self.temperature}: must be above 0")

    def score(self, scoring: Scoring) -> Scores:
        """w * Hg: the negative of S = -w * Hg, whose lowest stay (Wang et al. 2020, section 4)."""
        self.validate()
        weights = scoring.weights
        products = hessian_gradient_product(
            scoring.network.train(), weights, scoring.batches, self.temperature
        )
        return {name: weight.detach() * products[name] for name, weight in weights.items()}

    def kept(self, total: int, sparsity: float | None) -> int:
        """N - floor(N p): it is the number of removed weights that is rounded down."""
        assert sparsity is not None, "validated: GraSP does not decide it"
        return total - floor_share(total, sparsity)
