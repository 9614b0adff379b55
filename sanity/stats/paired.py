"""Differences between two arms of an experiment, paired by seed, and the tests of them.

Arms of one seed share initial weights, order of images and augmentation, so that their difference
varies less than either accuracy.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from sanity.stats import looks
from sanity.stats.criteria import Criteria

Interval = tuple[float, float]

TINY = 1e-9  # points


def mean(values: Mapping[int, float]) -> float | None:
    """The mean over seeds."""
    return float(np.mean(list(values.values()))) if values else None


def deviation(values: Mapping[int, float]) -> float | None:
    """The standard deviation over seeds; None for fewer than two."""
    return float(np.std(list(values.values()), ddof=1)) if len(values) > 1 else None


@dataclass(frozen=True)
class Look:
    """What t-tests say of the mean difference after so many ``seeds``.

    ``interval`` is its two-sided 1 - alpha confidence interval, ``narrow`` the 1 - 2 alpha one,
    which lies within the margin just when ``p_equivalent`` <= alpha. Of one look among several the
    intervals are its own, wide enough to hold at all of them (repeated confidence intervals,
    Jennison & Turnbull 1989), and the p-values, which allow for all looks, the smallest so far;
    ``number`` says which one it is, from 0.
    """

    seeds: int
    interval: Interval
    narrow: Interval
    p_different: float
    p_equivalent: float
    number: int = 0


@dataclass(frozen=True)
class Taken:
    """The looks that were taken at a growing experiment: the seeds that each had, in order.

    ``most``: so many seeds are allowed. ``seen``: some of them were known before the experiment
    began, so that half of the error counts as spent on what was concluded from those.
    """

    seeds: tuple[tuple[int, ...], ...]
    most: int
    seen: bool = False


@dataclass(frozen=True)
class Paired:
    """Differences in points, changed minus original, and the ``looks`` at them.

    A number of seeds that was fixed beforehand is one look at all. Of a single seed, or of
    differences that are all equal, there are no tests: the look at them is missing. ``price`` is
    what an error costs: 2 where half of it was spent before. ``most`` is the number of seeds that
    are allowed; None where it was fixed.
    """

    differences: Mapping[int, float]
    looks: tuple[Look, ...] = ()
    price: float = 1.0
    most: int | None = None

    @property
    def seeds(self) -> int:
        """How many seeds have both arms."""
        return len(self.differences)

    @property
    def mean(self) -> float | None:
        """The effect in points; None without seeds."""
        return mean(self.differences)

    @property
    def middle(self) -> float | None:
        """The effect at the latest look, which the interval is about; the mean without a look."""
        return self.mean if self.last is None else sum(self.last.interval) / 2

    @property
    def std(self) -> float | None:
        """Standard deviation of the differences; None for fewer than two seeds."""
        return deviation(self.differences)

    @property
    def is_spread(self) -> bool:
        """Whether the differences are not all equal; equal ones may differ in the last bit."""
        values = list(self.differences.values())
        return len(values) > 1 and max(values) - min(values) > TINY

    @property
    def last(self) -> Look | None:
        """The latest look."""
        return self.looks[-1] if self.looks else None

    def at(self, number: int) -> Look | None:
        """The latest look by that one; those at which nothing was new are left out."""
        return next((look for look in reversed(self.looks) if look.number <= number), None)

    @property
    def interval(self) -> Interval | None:
        """That of the latest look."""
        return None if self.last is None else self.last.interval

    @property
    def narrow(self) -> Interval | None:
        """That of the latest look."""
        return None if self.last is None else self.last.narrow

    @property
    def p_different(self) -> float | None:
        """Of the paired t-test of no difference."""
        return None if self.last is None else self.last.p_different

    @property
    def p_equivalent(self) -> float | None:
        """Of the two one-sided t-tests of a difference as large as the margin."""
        return None if self.last is None else self.last.p_equivalent


def compare(
    original: Mapping[int, float],
    changed: Mapping[int, float],
    criteria: Criteria,
    taken: Taken | None = None,
) -> Paired:
    """Compare accuracies (percent) by seed; seeds that only one arm has are left out.

    Two tests: the paired t-test of no difference, and the two one-sided t-tests (TOST,
    Schuirmann 1987) of a difference as large as the margin. ``taken`` are the looks of an
    experiment that grows until it is decided (None: the number of seeds was fixed).
    """
    both = sorted(original.keys() & changed.keys())
    differences = {seed: changed[seed] - original[seed] for seed in both}
    if taken is None:
        found = _test(differences, criteria)
        return Paired(differences, () if found is None else (found,))
    price = 2.0 if taken.seen else 1.0
    sequence = _sequence(differences, criteria, taken.seeds, price)
    return Paired(differences, tuple(sequence), price, taken.most)


@dataclass(frozen=True)
class _Sample:
    """Of differences: how many there are, their mean and its standard error."""

    seeds: int
    mean: float
    error: float

    def interval(self, level: float) -> Interval:
        """Exceeded by the true mean with this probability, on either side."""
        half = float(stats.t.isf(level, self.seeds - 1)) * self.error
        return self.mean - half, self.mean + half

    def one_sided(self, margin: float) -> list[float]:
        """P-values of: the true mean is at most 0, at least 0, at most -margin, at least margin."""
        distances = (self.mean, -self.mean, self.mean + margin, margin - self.mean)
        free = self.seeds - 1
        return [float(stats.t.sf(distance / self.error, free)) for distance in distances]


def _sample(differences: Mapping[int, float]) -> _Sample | None:
    """None where no t-test can be made."""
    if not Paired(differences).is_spread:
        return None
    values = np.array(list(differences.values()), dtype=float)
    error = float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return _Sample(len(values), float(np.mean(values)), error)


def _test(differences: Mapping[int, float], criteria: Criteria) -> Look | None:
    sample = _sample(differences)
    if sample is None:
        return None
    alpha = criteria.alpha
    return _look(sample, sample.one_sided(criteria.margin), (alpha / 2, alpha), 0)


def _sequence(
    differences: Mapping[int, float],
    criteria: Criteria,
    taken: Sequence[Sequence[int]],
    price: float,
) -> Iterator[Look]:
    """The looks, each with the smallest p-values so far."""
    least, known = [1.0] * 4, set[int]()
    for number, seeds in enumerate(taken):
        had = {seed: differences[seed] for seed in seeds if seed in differences}
        sample = _sample(had)
        # Without new seeds, since it was decided or its runs failed, there is nothing to look at.
        if sample is None or known >= had.keys():
            continue
        known |= had.keys()
        found = price * looks.error(number, sample.one_sided(criteria.margin))
        least = list(map(min, least, found.tolist()))
        alpha = criteria.alpha / price
        levels = looks.level(number, alpha / 2), looks.level(number, alpha)
        yield _look(sample, least, levels, number)


def _look(sample: _Sample, p: Sequence[float], levels: tuple[float, float], number: int) -> Look:
    below, above, low, high = p
    return Look(
        sample.seeds,
        sample.interval(levels[0]),
        sample.interval(levels[1]),
        p_different=min(1.0, 2 * min(below, above)),  # far out on either side
        p_equivalent=max(low, high),  # within both ends
        number=number,
    )
