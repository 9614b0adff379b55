"""How many weights each layer keeps: the contract between a pruner's scores and a ratio."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Annotated, Any, ClassVar

from annotated_types import Ge, Le

from sanity.core.option import Option
from sanity.networks.layers import Blueprint


@dataclass(frozen=True)
class Budget:
    """What the pruner and its sparsity ask of a ratio.

    ``kept`` is how many weights survive in all, by the pruner's own rounding;
    ``linear_dense`` says that the pruner's method leaves the classifier alone (LT);
    ``donor`` holds another pruner's kept weights per layer, for ``ratio=like``.
    """

    kept: int
    linear_dense: bool = False
    donor: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Allocation:
    """Weights to keep: a number for a layer, or None where layers compete for ``pooled`` ones.

    Every layer of the blueprint is a key of ``kept``, in module order.
    """

    kept: Mapping[str, int | None]
    pooled: int = 0

    @property
    def total(self) -> int:
        return self.pooled + sum(count for count in self.kept.values() if count is not None)

    @property
    def empty(self) -> list[str]:
        """Layers that are known, before any score, to keep nothing."""
        return [name for name, count in self.kept.items() if count == 0]

    def at(self, progress: float, blueprint: Blueprint) -> "Allocation":
        """The allocation on the way there: densities fall geometrically as ``progress`` rises to 1.

        Iterative pruners (SynFlow, IMP) meet these; at 1 it is the allocation itself.
        """
        if progress >= 1:
            return self
        pool = sum(layer.total for layer in blueprint.layers if self.kept[layer.name] is None)
        kept = {
            layer.name: None if count is None else _geometric(layer.total, count, progress)
            for layer in blueprint.layers
            for count in [self.kept[layer.name]]
        }
        return Allocation(kept, _geometric(pool, self.pooled, progress) if pool else 0)


def _geometric(start: int, end: int, progress: float) -> int:
    # A layer that ends empty has no geometric path to 0: aim at one weight until the last step.
    return max(end, int(start * (max(end, 1) / start) ** progress))


Share = Annotated[float, Ge(0), Le(1), "a keep ratio"]


class Ratio(Option, ABC):
    """A rule for the layers' shares. Subclasses are dataclasses with at least ``sparsity``.

    ``pools``: layers compete for one budget, so that scores decide their shares.
    """

    pools: ClassVar[bool] = False

    sparsity: float | None
    """The share of prunable weights removed; None only where the pruner decides it."""

    @property
    def donor(self) -> tuple[str, Mapping[str, Any]] | None:
        """The pruner, by name or dotted path, whose layer counts it copies, and its settings."""
        return None

    @abstractmethod
    def allocate(self, blueprint: Blueprint, budget: Budget) -> Allocation:
        """The weights to keep in each layer; raises ConfigError where the rule cannot be met."""


def floor_share(total: int, share: float) -> int:
    """floor(total * share) in exact arithmetic on ``share`` as it is written.

    ``int(20024000 * (1 - 0.9))`` is 2,002,399 in binary floating point; the exact answer is
    2,002,400. Shares come from the configuration, so their shortest decimal form is meant.
    """
    return int(total * Fraction(repr(float(share))))


def kept_share(total: int, sparsity: float) -> int:
    """floor(total * (1 - sparsity)), exact like :func:`floor_share`."""
    return int(total * (1 - Fraction(repr(float(sparsity)))))


def sparsity_of(kept: int, total: int) -> float:
    """The shortest sparsity at which :func:`kept_share` gives ``kept`` of ``total`` weights."""
    removed = Fraction(total - kept, total)
    for digits in range(1, 17):
        sparsity = int(removed * 10**digits) / 10**digits
        if kept_share(total, sparsity) == kept:
            return sparsity
    return float(removed)
