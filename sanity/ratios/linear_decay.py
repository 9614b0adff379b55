"""Ablation of the smart ratio: keep ratios fall linearly with depth."""

from dataclasses import dataclass

from sanity.pruning.order_statistics import OrderStatistics


@dataclass
class LinearDecay(OrderStatistics):
    """Keep ratios proportional to the number of layers from here to the last."""

    cites = ("su2020sanity",)

    def level(self, position: int, depth: int) -> int:
        """k, where k = L - l + 1 counts the layers from here to the last."""
        return depth - position + 1
