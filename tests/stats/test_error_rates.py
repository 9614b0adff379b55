"""A thousand repetitions of an experiment: verdicts are wrong no more often than they may be.

A rate of 5% over 1,000 repetitions is between 3.4% and 6.8% in 98% of all cases.
"""

import numpy as np
import pytest

from sanity.stats.criteria import Criteria
from sanity.stats.paired import compare
from sanity.stats.verdicts import Judgement, Verdict, judge

REPETITIONS, HIGHEST = 1000, 0.068
CRITERIA = Criteria(margin=0.5, alpha=0.05)


def experiment(chance: int, effects: list[float], seeds: int, std: float) -> list[Judgement]:
    """A family of checks with these true effects in points, judged."""
    random = np.random.default_rng(chance)
    level = random.normal(95, 1, seeds)  # what all arms of a seed share
    original = dict(enumerate(level + random.normal(0, std, seeds)))
    family = []
    for effect in effects:
        changed = dict(enumerate(level + effect + random.normal(0, std, seeds)))
        family.append(compare(original, changed, CRITERIA))
    return judge(family, CRITERIA)


def rate(verdict: Verdict, effects: list[float], seeds: int, std: float) -> float:
    """How often any check of a family gets ``verdict``."""
    found = (experiment(number, effects, seeds, std) for number in range(REPETITIONS))
    return sum(any(one.verdict is verdict for one in family) for family in found) / REPETITIONS


@pytest.mark.parametrize(("seeds", "checks"), [(2, 1), (3, 3), (10, 1)])
def test_true_equivalence_is_rarely_called_a_dependence(seeds: int, checks: int) -> None:
    assert rate(Verdict.DEPENDS, [0.0] * checks, seeds, std=0.6) <= HIGHEST


@pytest.mark.parametrize(("seeds", "effects"), [(2, [-0.5]), (3, [-0.5, 0.5, -2.0]), (10, [-0.5])])
def test_a_true_difference_is_rarely_called_none(seeds: int, effects: list[float]) -> None:
    assert rate(Verdict.INDEPENDENT, effects, seeds, std=0.15) <= HIGHEST


def test_the_rates_are_not_kept_by_never_deciding() -> None:
    assert rate(Verdict.DEPENDS, [-2.0], 5, std=0.5) > 0.9
    assert rate(Verdict.INDEPENDENT, [0.0], 10, std=0.2) > 0.9
    # At the border of the margin the equivalence test uses up what it may.
    assert rate(Verdict.INDEPENDENT, [-0.5], 10, std=0.15) > 0.034


def test_too_few_seeds_decide_nothing() -> None:
    assert rate(Verdict.NONE, [-9.0, 0.0], 1, std=0.5) == 1
    assert rate(Verdict.UNDECIDED, [0.0], 3, std=1.0) > 0.9
