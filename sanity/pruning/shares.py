"""Arithmetic the ratios share: fixed layers, what they leave to the others, and exact division."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from fractions import Fraction

from sanity.core.errors import ConfigError
from sanity.networks.layers import Blueprint
from sanity.ratios.base import Budget, floor_share


def fixed_linear(blueprint: Blueprint, share: float | None) -> dict[str, int]:
    """Weights kept in the last linear layer at the keep ratio ``share``; none are fixed by None.

    That is the layer of the classes. Hidden linear layers hold most weights of a network that has
    them, and are layers like all others.
    """
    if share is None:
        return {}
    check_share(share, "a keep ratio from 0 to 1, or null to treat it like all other layers")
    last = blueprint.of_kind("linear")[-1:]
    return {layer.name: floor_share(layer.total, share) for layer in last}


def check_share(share: object, allowed: str = "a keep ratio from 0 to 1") -> None:
    """Raise ConfigError unless ``share``, the setting ``ratio.linear``, lies in [0, 1]."""
    if not isinstance(share, int | float) or not 0 <= share <= 1:
        raise ConfigError(f"ratio.linear={share} is not possible: choose {allowed}")


def remaining(
    budget: Budget, fixed: Mapping[str, int], sparsity: float | None, what: str, remedy: str
) -> int:
    """How many weights the layers with fixed counts leave to the others.

    Raises ConfigError if that is nothing; ``what`` names the fixed layers and ``remedy`` the
    setting to change.
    """
    needed = sum(fixed.values())
    if needed and needed >= budget.kept:
        raise ConfigError(
            f"ratio.sparsity={sparsity} leaves {budget.kept} weights, but {what} "
            f"needs {needed}: lower ratio.sparsity or {remedy}"
        )
    return budget.kept - needed


def share_out(
    total: int, weights: Sequence[int], lower: Sequence[int], upper: Sequence[int]
) -> list[int]:
    """Divide ``total`` in proportion to ``weights``, each count within its bounds; sums to total.

    The counts are ``floor(scale * weight)``, clamped, at the scale where they reach ``total``
    (D'Hondt's rule with bounds; among equals the first wins). Largest remainders would also
    meet the total, but could take a weight from one layer when the total grows.
    A total outside the sums of the bounds gives the nearer bound.
    """
    scale = _real_scale(total, weights, lower, upper)
    bounds = list(zip(weights, lower, upper, strict=True))
    counts = [int(_clamp(scale * weight, low, high)) for weight, low, high in bounds]
    # Rounding down left less than one weight a layer over: grow the scale to the next whole
    # count until it is used up.
    growing = [index for index, (_, _, high) in enumerate(bounds) if counts[index] < high]
    while growing and sum(counts) < total:
        nearest = min(growing, key=lambda index: Fraction(counts[index] + 1, weights[index]))
        counts[nearest] += 1
        if counts[nearest] == upper[nearest]:
            growing.remove(nearest)
    return counts


def _real_scale(
    total: int, weights: Sequence[int], lower: Sequence[int], upper: Sequence[int]
) -> Fraction:
    """The scale at which the clamped, unrounded shares sum to ``total``: they grow piecewise."""
    bounds = list(zip(weights, lower, upper, strict=True))

    def shared(scale: Fraction) -> Fraction:
        return sum((_clamp(scale * weight, low, high) for weight, low, high in bounds), Fraction())

    corners = sorted({Fraction(edge, weight) for weight, *edges in bounds for edge in edges})
    reached = bisect_right(corners, Fraction(total), key=shared)
    if reached in (0, len(corners)):
        return corners[max(reached - 1, 0)] if corners else Fraction()
    start = corners[reached - 1]
    slope = sum(weight for weight, low, high in bounds if low <= start * weight < high)
    return start + (total - shared(start)) / slope


def _clamp(value: Fraction, low: int, high: int) -> Fraction:
    return min(max(value, Fraction(low)), Fraction(high))
