"""Uniform keep ratios but for the two ends of the network (Gale et al. 2019, section 3)."""

from dataclasses import dataclass

from sanity.networks.layers import Blueprint
from sanity.pruning.shares import check_share, remaining, share_out
from sanity.ratios.base import Allocation, Budget, Ratio, floor_share


@dataclass
class UniformPlus(Ratio):
    """The first convolution stays dense and the classifier keeps at least ``linear``.

    All other layers share one keep ratio, and so does the classifier where that is the larger.
    The counts sum to the budget. Raises ConfigError where the two ends alone exceed it.
    """

    cites = ("gale2019state",)

    sparsity: float = 0.98
    linear: float = 0.2

    def allocate(self, blueprint: Blueprint, budget: Budget) -> Allocation:
        """Shares in proportion to the layers' sizes, the ends bounded from below."""
        check_share(self.linear)
        ends = {layer.name: layer.total for layer in blueprint.of_kind("conv")[:1]}
        for layer in blueprint.heads:
            ends[layer.name] = floor_share(layer.total, self.linear)
        what = "keeping the first convolution dense and the classifier at ratio.linear"
        remaining(budget, ends, self.sparsity, what, "choose another ratio")
        totals = [layer.total for layer in blueprint.layers]
        lower = [ends.get(name, 0) for name in blueprint.names]
        counts = share_out(budget.kept, weights=totals, lower=lower, upper=totals)
        return Allocation(dict(zip(blueprint.names, counts, strict=True)))
