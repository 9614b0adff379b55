"""The paper's smart ratio: keep ratios fall with depth like those of squared uniform draws."""

from dataclasses import dataclass

from sanity.pruning.order_statistics import OrderStatistics


@dataclass
class Smart(OrderStatistics):
    """The expected k-th smallest of n squared uniform draws is k (k + 1) / ((n + 1) (n + 2))."""

    cites = ("su2020sanity",)

    def level(self, position: int, depth: int) -> int:
        """k^2 + k, where k = L - l + 1 counts the layers from here to the last."""
        layers_left = depth - position + 1
        return layers_left**2 + layers_left
