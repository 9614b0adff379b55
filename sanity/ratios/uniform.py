"""The same keep ratio in every layer, the classifier apart unless told otherwise."""

from dataclasses import dataclass
from fractions import Fraction

from sanity.networks.layers import Blueprint
from sanity.pruning.order_statistics import Levelled


@dataclass
class Uniform(Levelled):
    """Ablation of the smart ratio: all layers keep the share that the classifier leaves them."""

    cites = ("su2020sanity",)

    def levels(self, blueprint: Blueprint) -> dict[str, Fraction]:
        """One for all."""
        return dict.fromkeys(blueprint.names, Fraction(1))
