"""Ablation of the smart ratio: keep ratios fall with the cube of the depth."""

from dataclasses import dataclass

from sanity.pruning.order_statistics import OrderStatistics


@dataclass
class Cubic(OrderStatistics):
    """Keep ratios proportional to the cubed number of layers from here to the last."""

    cites = ("su2020sanity",)

    def level(self, position: int, depth: int) -> int:
        """k^3, where k = L - l + 1 counts the layers from here to the last."""
        return (depth - position + 1) ** 3
