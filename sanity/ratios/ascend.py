"""Ablation of the smart ratio: the same levels upside down, so that early layers lose most."""

from dataclasses import dataclass

from sanity.pruning.order_statistics import OrderStatistics


@dataclass
class Ascend(OrderStatistics):
    """Keep ratios that grow with depth; the first layer of a deep network may end up empty."""

    cites = ("su2020sanity",)

    def level(self, position: int, depth: int) -> int:
        """l^2 + l."""
        return position**2 + position
