"""Erdős-Rényi densities by the number of channels (Mocanu et al. 2018; Evci et al. 2020)."""

from dataclasses import dataclass
from math import prod
from typing import ClassVar

from sanity.networks.layers import Blueprint, Layer
from sanity.pruning.shares import share_out
from sanity.ratios.base import Allocation, Budget, Ratio


@dataclass
class Er(Ratio):
    """Layer density in proportion to (n_in + n_out) / (n_in n_out).

    Layers that would pass density 1 stay dense and the others share what is left. The counts
    sum to the budget.
    """

    cites: ClassVar[tuple[str, ...]] = ("mocanu2018scalable", "evci2020rigging")

    sparsity: float = 0.98

    def weight(self, layer: Layer) -> int:
        """Density times size up to the common scale: (n_in + n_out) times the kernel's area."""
        outputs, inputs, *kernel = layer.shape
        return (outputs + inputs) * prod(kernel)

    def fixed(self, blueprint: Blueprint, budget: Budget) -> dict[str, int]:
        """Layers that do not take part, and their counts."""
        return {}

    def allocate(self, blueprint: Blueprint, budget: Budget) -> Allocation:
        """Counts that grow together until the budget is used up."""
        fixed = self.fixed(blueprint, budget)
        counts = share_out(
            budget.kept,
            weights=[self.weight(layer) for layer in blueprint.layers],
            lower=[fixed.get(layer.name, 0) for layer in blueprint.layers],
            upper=[fixed.get(layer.name, layer.total) for layer in blueprint.layers],
        )
        return Allocation(dict(zip(blueprint.names, counts, strict=True)))
