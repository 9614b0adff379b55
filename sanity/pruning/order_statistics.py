"""The paper's hand-made ratios: a level for every layer, scaled to the budget (section 5)."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar, Literal

from sanity.core.errors import CombinationError
from sanity.core.option import name_of
from sanity.networks.layers import Blueprint
from sanity.pruning.shares import fixed_heads, remaining
from sanity.ratios.base import Allocation, Budget, Ratio


@dataclass
class Levelled(Ratio):
    """Base of the ratios whose keep ratios follow a level q_l of the layer.

    The classifier keeps the share ``linear`` (None: it follows the levels too). The other layers
    keep r_l = c q_l with c such that the budget is met, then :func:`spill`.

    Counts are rounded down, so the total falls short of the budget by less than a weight a
    layer. At low sparsities, where layers are full, the formula's other roundings can put it a
    few weights above, and near 0 it stays below: the classifier keeps ``linear`` even there.
    Raises ConfigError where the classifier leaves nothing to the others.
    """

    sparsity: float = 0.98
    linear: float | None = 0.3

    @abstractmethod
    def levels(self, blueprint: Blueprint) -> dict[str, Fraction]:
        """q_l of every layer, by name."""

    def allocate(self, blueprint: Blueprint, budget: Budget) -> Allocation:
        """Counts for every layer; at very high sparsities some may be 0."""
        fixed = fixed_heads(blueprint, self.linear)
        what = f"ratio.linear={self.linear} of the classifier"
        keep = remaining(budget, fixed, self.sparsity, what, "ratio.linear")
        levels = self.levels(blueprint)
        free = [layer for layer in blueprint.layers if layer.name not in fixed]
        counts = levelled(
            keep, [layer.total for layer in free], [levels[layer.name] for layer in free]
        )
        chosen = fixed | dict(zip([layer.name for layer in free], counts, strict=True))
        return Allocation({name: chosen[name] for name in blueprint.names})


@dataclass
class OrderStatistics(Levelled):
    """Base of the levels that follow a layer's position l in the order of the network's layers.

    Networks without shortcuts divide q_l by l^2. Whether there are any, is seen from the network;
    ``shortcuts`` says so where that cannot be. Raises CombinationError where nobody says so, and
    for a network whose layers are not in the order in which images pass through them.
    """

    neutral: ClassVar = {"shortcuts": "auto"}

    shortcuts: Literal["auto"] | bool = "auto"

    @abstractmethod
    def level(self, position: int, depth: int) -> int:
        """q_l of the layer at ``position`` l = 1..L of ``depth`` L, the classifier counted."""

    def levels(self, blueprint: Blueprint) -> dict[str, Fraction]:
        """q_l of every layer, divided by l^2 where the network asks for it."""
        self._refuse_misplaced(blueprint)
        steeper = not self._has_shortcuts(blueprint)
        depth = len(blueprint.layers)
        return {
            layer.name: Fraction(self.level(position, depth), position**2 if steeper else 1)
            for position, layer in enumerate(blueprint.layers, start=1)
        }

    def _has_shortcuts(self, blueprint: Blueprint) -> bool:
        found = blueprint.shortcuts if self.shortcuts == "auto" else self.shortcuts
        if found is None:
            raise CombinationError(
                f"ratio={name_of(type(self))}: whether shortcuts bypass layers of the network "
                "cannot be seen: say so with ratio.shortcuts=true or false"
            )
        return bool(found)

    def _refuse_misplaced(self, blueprint: Blueprint) -> None:
        if blueprint.misplaced is None:
            return
        first, before = blueprint.misplaced
        raise CombinationError(
            f"ratio={name_of(type(self))}: goes by the order of layers, and {first} stands before "
            f"{before} in the network though it gets its output: create the layers in the order in "
            "which images pass through them, or choose ratio=erk, uniform or global"
        )


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
