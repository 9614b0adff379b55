"""How many seeds a verdict would take, should mean and spread stay what they are."""

import numpy as np
from numpy.typing import NDArray
from scipy import stats

POWER = 0.8  # the chance of a verdict that is asked for
LIMIT = 1000  # seeds; nobody trains more


def power_different(mean: float, std: float, seeds: NDArray[np.int64], alpha: float) -> NDArray:
    """Power of the two-sided paired t-test, for each number of seeds (noncentral t)."""
    free, shift = seeds - 1, mean / std * np.sqrt(seeds)
    critical = stats.t.ppf(1 - alpha / 2, free)
    return _above(critical, free, shift) + _above(critical, free, -shift)


def power_equivalent(
    mean: float, std: float, seeds: NDArray[np.int64], alpha: float, margin: float
) -> NDArray:
    """Power of the two one-sided t-tests, for each number of seeds.

    From below: both tests' misses are taken to exclude each other (Phillips 1990 has the exact
    integral), which matters only where the power is small.
    """
    free, scale = seeds - 1, np.sqrt(seeds) / std
    critical = stats.t.ppf(1 - alpha, free)
    above_low = _above(critical, free, (mean + margin) * scale)
    below_high = _above(critical, free, (margin - mean) * scale)
    return np.clip(above_low + below_high - 1, 0, 1)


def seeds_to_decide(mean: float, std: float, alpha: float, margin: float) -> int | None:
    """The fewest seeds with which either test says so with a chance of ``POWER``.

    ``alpha`` is the level after correction. None where even ``LIMIT`` seeds would not do.
    """
    seeds = np.arange(2, LIMIT + 1)
    either = np.maximum(
        power_different(mean, std, seeds, alpha),
        power_equivalent(mean, std, seeds, alpha, margin),
    )
    enough = seeds[either >= POWER]
    return int(enough[0]) if len(enough) else None


def _above(critical: NDArray, free: NDArray, shift: NDArray) -> NDArray:
    """P(T > critical) of the noncentral t; beyond its tables the normal one is as good."""
    with np.errstate(all="ignore"):
        exact = stats.nct.sf(critical, free, shift)
    return np.where(np.isfinite(exact), exact, stats.norm.sf(critical - shift))
