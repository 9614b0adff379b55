"""Differences between two arms of an experiment, paired by seed, and the tests of them.

Arms of one seed share initial weights, order of images and augmentation, so that their difference
varies less than either accuracy.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import stats
from statsmodels.stats.weightstats import DescrStatsW

from sanity.stats.criteria import Criteria


def mean(values: Mapping[int, float]) -> float | None:
    """The mean over seeds."""
    return float(np.mean(list(values.values()))) if values else None


def deviation(values: Mapping[int, float]) -> float | None:
    """The standard deviation over seeds; None for fewer than two."""
    return float(np.std(list(values.values()), ddof=1)) if len(values) > 1 else None


@dataclass(frozen=True)
class Paired:
    """Differences in points, changed minus original, and what t-tests say of their mean.

    ``interval`` is its two-sided 1 - alpha confidence interval, ``narrow`` the 1 - 2 alpha one,
    which lies within the margin just when ``p_equivalent`` <= alpha. Of a single seed, or of
    differences that are all equal, there are no tests: those fields are None.
    """

    differences: Mapping[int, float]
    interval: tuple[float, float] | None = None
    narrow: tuple[float, float] | None = None
    p_different: float | None = None
    p_equivalent: float | None = None

    @property
    def seeds(self) -> int:
        """How many seeds have both arms."""
        return len(self.differences)

    @property
    def mean(self) -> float | None:
        """The effect in points; None without seeds."""
        return mean(self.differences)

    @property
    def std(self) -> float | None:
        """Standard deviation of the differences; None for fewer than two seeds."""
        return deviation(self.differences)

    @property
    def tested(self) -> bool:
        """Whether there are p-values."""
        return self.p_different is not None


def compare(
    original: Mapping[int, float], changed: Mapping[int, float], criteria: Criteria
) -> Paired:
    """Compare accuracies (percent) by seed; seeds that only one arm has are left out.

    Two tests: the paired t-test of no difference, and the two one-sided t-tests (TOST,
    Schuirmann 1987) of a difference as large as the margin.
    """
    both = sorted(original.keys() & changed.keys())
    differences = {seed: changed[seed] - original[seed] for seed in both}
    values = np.array(list(differences.values()), dtype=float)
    # Equal differences may differ in the last bit; no t-test can be made of them.
    if len(values) < 2 or math.isclose(float(np.ptp(values)), 0.0, abs_tol=1e-9):
        return Paired(differences)
    described = DescrStatsW(values, ddof=0)
    p_equivalent, _, _ = described.ttost_mean(-criteria.margin, criteria.margin)
    return Paired(
        differences,
        interval=described.tconfint_mean(alpha=criteria.alpha),
        narrow=described.tconfint_mean(alpha=2 * criteria.alpha),
        p_different=float(stats.ttest_1samp(values, 0.0).pvalue),
        p_equivalent=float(p_equivalent),
    )
