"""The same keep ratio in every layer, linear layers apart unless told otherwise."""

from dataclasses import dataclass

from sanity.pruning.order_statistics import OrderStatistics


@dataclass
class Uniform(OrderStatistics):
    """Ablation of the smart ratio: all layers keep the share that the linear ones leave them."""

    cites = ("su2020sanity",)
    steeper_without_shortcuts = False

    def level(self, position: int, depth: int) -> int:
        """One for all."""
        return 1
