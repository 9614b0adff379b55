"""Erdős-Rényi-Kernel densities with a fixed classifier (ERK+, Liu et al. 2022)."""

from dataclasses import dataclass

from sanity.networks.layers import Blueprint
from sanity.pruning.shares import check_share, remaining
from sanity.ratios.base import Budget, floor_share
from sanity.ratios.erk import Erk


@dataclass
class ErkPlus(Erk):
    """ERK, but the classifier keeps the share ``linear`` (1: dense, as published).

    The counts sum to the budget as long as the other layers can hold the rest. Raises
    ConfigError where the classifier alone exceeds the budget.
    """

    cites = ("evci2020rigging", "liu2022unreasonable")

    linear: float = 1.0

    def fixed(self, blueprint: Blueprint, budget: Budget) -> dict[str, int]:
        """The classifier, if it is known."""
        check_share(self.linear)
        fixed = {one.name: floor_share(one.total, self.linear) for one in blueprint.heads}
        what = f"ratio.linear={self.linear} of the classifier"
        remaining(budget, fixed, self.sparsity, what, "ratio.linear")
        return fixed
