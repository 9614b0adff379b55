"""One pool for all layers: the scores decide how many weights each of them keeps."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from sanity.networks.layers import Blueprint
from sanity.pruning.shares import check_share, fixed_linear, remaining
from sanity.ratios.base import Allocation, Budget, Ratio, Share


@dataclass
class Global(Ratio):
    """All layers compete for the budget; ``linear`` says whether the last linear one takes part.

    ``auto`` follows the pruner (LT and IMP leave it dense), ``dense`` and ``prune`` force it, and
    a number is a keep ratio of its own. Raises ConfigError where it leaves nothing to the others.
    """

    pools: ClassVar[bool] = True

    sparsity: float | None = 0.98
    linear: Literal["auto", "dense", "prune"] | Share = "auto"

    def allocate(self, blueprint: Blueprint, budget: Budget) -> Allocation:
        """None for every layer in the pool; the pool never exceeds its layers' weights."""
        share = self._linear_share(budget)
        fixed = fixed_linear(blueprint, share)
        what = f"the linear layer kept {'dense' if share == 1 else f'at ratio.linear={share}'}"
        rest = remaining(budget, fixed, self.sparsity, what, "set ratio.linear=prune")
        pool = sum(layer.total for layer in blueprint.layers if layer.name not in fixed)
        return Allocation({name: fixed.get(name) for name in blueprint.names}, min(rest, pool))

    def _linear_share(self, budget: Budget) -> float | None:
        if self.linear == "auto":
            return 1.0 if budget.linear_dense else None
        if self.linear == "dense":
            return 1.0
        if self.linear == "prune":
            return None
        check_share(self.linear, "auto, dense, prune or a keep ratio from 0 to 1")
        return float(self.linear)
