"""The paper's hand-made ratios: a level for every layer, scaled to the budget (section 5)."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

from sanity.networks.layers import Blueprint
from sanity.pruning.shares import fixed_linear, remaining
from sanity.ratios.base import Allocation, Budget, Ratio


@dataclass
class OrderStatistics(Ratio):
    """Base of the ratios whose keep ratios follow a level q_l of the layer's position l.

    The last linear layer keeps the share ``linear`` (None: it follows the levels too). The others
    keep r_l = c q_l with c such that the budget is met, then :func:`spill`. Networks without
    shortcuts divide q_l by l^2 unless ``steeper_without_shortcuts`` is off.

    Counts are rounded down, so the total falls short of the budget by less than a weight a
    layer. At low sparsities, where layers are full, the formula's other roundings can put it a
    few weights above, and near 0 it stays below: that layer keeps ``linear`` even there.
    Raises ConfigError where it leaves nothing to the others.
    """

    steeper_without_shortcuts: ClassVar[bool] = True

    sparsity: float = 0.98
    linear: float | None = 0.3

    @abstractmethod
    def level(self, position: int, depth: int) -> int:
        """q_l of the layer at ``position`` l = 1..L of ``depth`` L, linear layers counted."""

    def levels(self, blueprint: Blueprint) -> dict[str, Fraction]:
        """q_l of every layer, divided by l^2 where the network asks for it."""
        steeper = self.steeper_without_shortcuts and not blueprint.residual
        depth = len(blueprint.layers)
        return {
            layer.name: Fraction(self.level(position, depth), position**2 if steeper else 1)
            for position, layer in enumerate(blueprint.layers, start=1)
        }

    def allocate(self, blueprint: Blueprint, budget: Budget) -> Allocation:
        """Counts for every layer; at very high sparsities some may be 0."""
        fixed = fixed_linear(blueprint, self.linear)
        what = f"ratio.linear={self.linear} of the last linear layer"
        keep = remaining(budget, fixed, self.sparsity, what, "ratio.linear")
        levels = self.levels(blueprint)
        free = [layer for layer in blueprint.layers if layer.name not in fixed]
        counts = levelled(
            keep, [layer.total for layer in free], [levels[layer.name] for layer in free]
        )
        chosen = fixed | dict(zip([layer.name for layer in free], counts, strict=True))
        return Allocation({name: chosen[name] for name in blueprint.names})


def levelled(keep: int, totals: Sequence[int], levels: Sequence[Fraction]) -> list[int]:
    """Counts floor(r_l n_l) for r_l = c q_l, with c = keep / sum of floor(n_l q_l), spilled.

    Rounding each n_l q_l down as well makes the counts those of the paper's code, and is why
    they can sum to slightly more than ``keep``.
    """
    reach = sum(int(total * level) for total, level in zip(totals, levels, strict=True))
    scale = Fraction(keep, max(reach, 1))
    ratios = spill([scale * level for level in levels], totals)
    return [int(ratio * total) for ratio, total in zip(ratios, totals, strict=True)]


def spill(ratios: Sequence[Fraction], totals: Sequence[int]) -> list[Fraction]:
    """Keep ratios of at most 1: what is too much for a layer goes to those right after it.

    The walk ends at the first layer after which nothing is left over; a layer behind that one
    is cut to 1 and its surplus lost, as in the paper's code.
    """
    spilled = list(ratios)
    surplus = 0
    for index, (ratio, total) in enumerate(zip(ratios, totals, strict=True)):
        room = int((1 - ratio) * total)
        if ratio >= 1:
            surplus += int((ratio - 1) * total)
        elif room >= surplus:
            spilled[index] = ratio + Fraction(surplus, total)
            surplus = 0
        else:
            spilled[index] = Fraction(1)
            surplus -= room
        if surplus == 0:
            break
    return [min(ratio, Fraction(1)) for ratio in spilled]
