"""The same keep ratio in every layer, the last linear one apart unless told otherwise."""

from dataclasses import dataclass

from sanity.pruning.order_statistics import OrderStatistics


@dataclass
class Uniform(OrderStatistics):
    """Ablation of the smart ratio: all layers keep the share that the last linear one leaves."""

    cites = ("su2020sanity",)
    steeper_without_shortcuts = False

    def level(self, position: int, depth: int) -> int:
        """One for all."""
        return 1
