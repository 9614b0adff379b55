"""Erdős-Rényi-Kernel densities with a fixed last linear layer (ERK+, Liu et al. 2022)."""

from dataclasses import dataclass

from sanity.networks.layers import Blueprint
from sanity.pruning.shares import check_share, remaining
from sanity.ratios.base import Budget, floor_share
from sanity.ratios.erk import Erk


@dataclass
class ErkPlus(Erk):
    """ERK, but the last linear layer keeps the share ``linear`` (1: dense, as published).

    The counts sum to the budget as long as the other layers can hold the rest. Raises
    ConfigError where the linear layer alone exceeds the budget.
    """

    cites = ("evci2020rigging", "liu2022unreasonable")

    linear: float = 1.0

    def fixed(self, blueprint: Blueprint, budget: Budget) -> dict[str, int]:
        """The last linear layer, if there is one."""
        check_share(self.linear)
        last = blueprint.of_kind("linear")[-1:]
        fixed = {layer.name: floor_share(layer.total, self.linear) for layer in last}
        what = f"ratio.linear={self.linear} of the last linear layer"
        remaining(budget, fixed, self.sparsity, what, "ratio.linear")
        return fixed
