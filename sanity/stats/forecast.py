"""What more seeds would probably say, given those there are; and what a design can say at all.

Where the true mean lies is as uncertain as n seeds leave it: it has the t-distribution around
theirs (the posterior of a flat prior). The spread is taken to stay what it is.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

from sanity.stats import looks
from sanity.stats.criteria import Criteria
from sanity.stats.paired import Paired

FEWEST = 5  # seeds below which a spread is too uncertain to forecast from
LIKELY = (0.2, 0.5, 0.8)  # chances of a verdict: the fewest seeds, as likely as not, the most
LIMIT = 1000  # seeds; nobody trains more
POWER = 0.8
CLEAR = 0.25  # from an even chance, by which one verdict is the probable one

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Forecast:
    """With how many ``seeds`` a verdict is as likely as not, and which: ``depends`` or not.

    ``fewest`` and ``most`` are those with which there is one in one, and in four, of five cases;
    None for what so many seeds as are allowed will not do. ``depends`` is None where both verdicts
    may come. ``chance`` is that of one with all seeds that are allowed.
    """

    fewest: int | None
    seeds: int | None
    most: int | None
    depends: bool | None
    chance: float


def forecast(paired: Paired, criteria: Criteria, level: float) -> Forecast | None:
    """The forecast of an open question; ``level`` is alpha after correction for its family.

    None where there are fewer than ``FEWEST`` seeds, or no spread.
    """
    mean, std, seeds = paired.mean, paired.std, paired.seeds
    if mean is None or not std or seeds < FEWEST:
        return None
    counts, levels = _ahead(paired, level)
    if not len(counts):
        return Forecast(None, None, None, None, 0.0)
    # New seeds are another sample; those that are added leave these in.
    spread = std * np.sqrt(1 / seeds + (1 if paired.most is None else -1) / counts)
    error = std / np.sqrt(counts)
    outer, inner = (stats.t.isf(one, counts - 1) * error for one in levels)
    inner = np.maximum(0.0, criteria.margin - inner)

    def within(border: Array) -> Array:
        """The chance that the mean will be no farther than this from 0."""
        ends = (stats.t.cdf((end - mean) / spread, seeds - 1) for end in (border, -border))
        return np.asarray(np.subtract(*ends))

    independent = within(inner)
    depends = 1 - within(np.maximum(outer, inner))
    either = np.maximum.accumulate(depends + independent)
    reached = [counts[either >= chance] for chance in LIKELY]
    fewest, likely, most = (int(found[0]) if len(found) else None for found in reached)
    at = len(counts) - 1 if likely is None else int(np.argmax(counts >= likely))
    which = depends[at] / max(float(depends[at] + independent[at]), 1e-9)
    leans = bool(which > 0.5) if abs(which - 0.5) >= CLEAR else None
    return Forecast(fewest, likely, most, leans, float(either[-1]))


def discernible(seeds: int, criteria: Criteria, family: int) -> tuple[float, float]:
    """What so many seeds can decide, in spreads (standard deviations of the differences).

    With a chance of 80% and ``family`` questions: the smallest difference that is told from none,
    and the smallest margin within which none is told from a difference.
    """
    look = None
    if criteria.grows:  # there is nothing to be seen between looks
        *earlier, seeds = looks.up_to(seeds)
        look = len(earlier)
    different, equivalent = _levels(look, criteria.alpha / family)
    free, root = seeds - 1, math.sqrt(seeds)
    outer, inner = (float(stats.t.isf(one, free)) for one in (different, equivalent))

    def smallest(chance: Callable[[float], float], most: float) -> float:
        return float(optimize.brentq(lambda size: chance(size) - POWER, 0.0, most))

    return (
        smallest(lambda effect: _beyond(outer, free, effect * root), 10 + 2 * outer),
        smallest(lambda width: _within(inner, free, width * root), 10 + 2 * inner),
    )


def _beyond(critical: float, free: float, shift: float) -> float:
    """P(T > critical) of the noncentral t; beyond its tables the normal one is as good."""
    with np.errstate(all="ignore"):
        exact = float(stats.nct.sf(critical, free, shift))
    return exact if math.isfinite(exact) else float(stats.norm.sf(critical - shift))


def _within(critical: float, free: float, width: float) -> float:
    """P(both one-sided tests reject) in the middle of a margin, in standard errors of the mean."""
    shares = (np.arange(1000) + 0.5) / 1000
    spreads = np.sqrt(stats.chi2.ppf(shares, free) / free)  # estimated, by the true one
    return float(np.mean(np.maximum(0.0, 2 * stats.norm.cdf(width - critical * spreads) - 1)))


def _ahead(paired: Paired, level: float) -> tuple[NDArray[np.int64], tuple[Array, Array]]:
    """The numbers of seeds that are possible, and at each the levels of both tests."""
    if paired.most is None:
        counts = np.arange(2, LIMIT + 1)
        return counts, (np.full(len(counts), level / 2), np.full(len(counts), level))
    taken = paired.last.number if paired.last else -1  # where runs failed, with fewer seeds
    rows = [
        (count, *_levels(look, level))
        for look, count in enumerate(looks.up_to(paired.most))
        if look > taken and count > paired.seeds
    ]
    counts, different, equivalent = np.array(rows, dtype=float).reshape(-1, 3).T
    return counts.astype(int), (different, equivalent)


def _levels(look: int | None, level: float) -> tuple[float, float]:
    """Those of one-sided t-tests: of a difference (two sides) and of equivalence (two tests)."""
    if look is None:
        return level / 2, level
    return looks.level(look, level / 2), looks.level(look, level)
