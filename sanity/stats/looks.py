"""Looks at an experiment while it grows, so planned that no look makes a verdict cheaper.

Seeds are added until a question is decided. Looks are taken after fixed numbers of seeds, the same
for every experiment, and the error that a test may make is shared out among them beforehand: a
group-sequential design (Lan & DeMets 1983). A fifth of what is left is spent at each look, which
leaves some for every look to come: there is no last one, and an experiment may be ended, or allowed
more seeds, at any time and for any reason.

Boundaries are those of t-tests, not of the normal ones that they become with many seeds. While the
mean is 0, the ratio u = sum(x) / sqrt(sum(x^2)) does not depend on the sum of squares (Basu 1955),
so that with m more seeds after n

    u' = sqrt(B) u + sqrt(1 - B) v,    B ~ Beta(n/2, m/2),    v = u of the m seeds by themselves,

is a Markov chain, whose distribution is carried from look to look on a grid (Armitage, McPherson &
Rowe 1969). ``tests/stats/test_looks.py`` compares it with simulations and with published tables.
"""

import functools
import itertools
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats

SHARE = 0.2  # of the error that is left, spent at each look
SEEDS = (4, 6, 9, 13, 19, 28)  # about half as many more each time, and then ten times these
FIRST = SEEDS[0]

BINS, REACH = 320, 7.0  # the grid, in standard deviations of a normal distribution
NODES = 32  # of the quadrature over B
TABLE = np.logspace(-9, np.log10(0.5), 80)  # errors for which boundaries are known; between: log

Array = NDArray[np.float64]


def seeds_at() -> Iterator[int]:
    """The numbers of seeds after which one looks: 4, 6, 9, 13, 19, 28, 40, 60, 90, 130, ..."""
    return (first * 10**power for power in itertools.count() for first in SEEDS)


def up_to(most: int) -> tuple[int, ...]:
    """The looks that ``most`` seeds allow."""
    return tuple(itertools.takewhile(lambda seeds: seeds <= most, seeds_at()))


def level(look: int, error: float) -> float:
    """The level of a one-sided t-test at a look (from 0), of a test with this error over all looks.

    At the first look it is a fifth of ``error``.
    """
    table = _levels(look)[look]
    return float(np.exp(np.interp(np.log(error), np.log(TABLE), np.log(table))))


def error(look: int, p: ArrayLike) -> Array:
    """The smallest errors with which tests over all looks reject at this one, given p-values.

    The smallest of these over the looks so far is a sequential p-value: whoever stops whenever it
    suits, it is below any level with at most that probability.
    """
    table, values = _levels(look)[look], np.maximum(p, 1e-300)
    found = np.exp(np.interp(np.log(values), np.log(table), np.log(TABLE)))
    # Smaller ones are of no use: there levels are hardly above their shares.
    below = np.where(values < table[0], TABLE[0] * values / table[0], found)
    return np.where(values >= table[-1], 1.0, below)


@functools.cache
def _levels(look: int) -> list[Array]:
    """The levels of looks up to this one, a row a look, a column an error of ``TABLE``."""
    seeds = list(itertools.islice(seeds_at(), look + 1))
    return levels(seeds, [SHARE * (1 - SHARE) ** number * TABLE for number in range(look + 1)])


def levels(seeds: Sequence[int], spent: Sequence[Array]) -> list[Array]:
    """The levels of one-sided t-tests after so many ``seeds``, that spend this error at each look.

    ``spent`` may be that of several tests side by side: an array a look.
    """
    edges = np.linspace(-REACH, REACH, BINS + 1)
    above = np.repeat(stats.norm.sf(edges)[:, None], len(spent[0]), axis=1)  # not ended, z > edge
    found = []
    for number, errors in enumerate(spent):
        borders = [
            np.interp(-np.log(one), -np.log(np.maximum(column, 1e-300)), edges)
            for one, column in zip(errors, above.T, strict=True)
        ]
        found.append(stats.norm.sf(borders))
        if number + 1 < len(seeds):
            below = np.maximum(above, errors) - errors  # what goes on
            above = _step(seeds[number], seeds[number + 1]).T @ (below[:-1] - below[1:])
    return found


@functools.cache
def _step(seeds: int, more: int) -> Array:
    """P(z of ``more`` seeds > an edge), given that of the first ``seeds``: a row a bin of these.

    z stands for t, by equal probabilities.
    """
    edges = np.linspace(-REACH, REACH, BINS + 1)
    before = _u((edges[1:] + edges[:-1]) / 2, seeds)[:, None]
    after = _u(edges, more)[None, :]
    fresh = more - seeds
    angles = np.linspace(-np.pi / 2, np.pi / 2, 4001)  # v = sqrt(fresh) sin(angle)
    exceeds = _v_exceeds(angles, fresh)
    nodes, weights = special.roots_jacobi(NODES, fresh / 2 - 1, seeds / 2 - 1)
    found = np.zeros((BINS, BINS + 1))
    for share, weight in zip((1 + nodes) / 2, weights / weights.sum(), strict=True):
        sine = (after - np.sqrt(share) * before) / np.sqrt((1 - share) * fresh)
        found += weight * np.interp(np.arcsin(np.clip(sine, -1, 1)), angles, exceeds)
    return found


def _u(z: Array, seeds: int) -> Array:
    """u = t / sqrt(1 + (t^2 - 1) / n) of the t that is as improbable as z."""
    t = stats.t.isf(stats.norm.sf(np.abs(z)), seeds - 1)
    return np.sign(z) * t / np.sqrt((t**2 + seeds - 1) / seeds)


def _v_exceeds(angles: Array, seeds: int) -> Array:
    """P(u > sqrt(n) sin(angle)) of n seeds with mean 0."""
    with np.errstate(divide="ignore"):
        return np.asarray(stats.t.sf(np.sqrt(seeds - 1) * np.tan(angles), seeds - 1))
