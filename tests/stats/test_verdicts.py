"""From tests to words, and how many seeds it would take."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower

from sanity.stats.criteria import Criteria
from sanity.stats.paired import Paired, compare
from sanity.stats.power import POWER, power_different, power_equivalent, seeds_to_decide
from sanity.stats.verdicts import Verdict, judge

CRITERIA = Criteria(margin=0.5, alpha=0.05)


def paired(*differences: float, criteria: Criteria = CRITERIA) -> Paired:
    changed = dict(enumerate(differences))
    return compare(dict.fromkeys(changed, 0.0), changed, criteria)


@pytest.mark.parametrize(
    ("differences", "verdict", "why"),
    [
        ((-2.0, -2.1, -1.9, -2.2), Verdict.DEPENDS, ""),
        ((2.0, 2.1, 1.9, 2.2), Verdict.DEPENDS, "better with the change"),
        ((-0.5, -0.9, -0.4, -0.8), Verdict.DEPENDS, "may be smaller than the margin"),
        ((0.01, -0.02, 0.03, -0.01), Verdict.INDEPENDENT, ""),
        ((-0.20, -0.21, -0.19, -0.2), Verdict.INDEPENDENT, "smaller than the margin"),
        ((-1.0, 0.0, -2.0, -1.0), Verdict.UNDECIDED, ""),
        ((-1.0, -1.0, -1.0), Verdict.UNDECIDED, "all 3 differences are equal"),
        ((-9.0,), Verdict.NONE, "1 seed has both arms; a verdict needs at least 2"),
        ((), Verdict.NONE, "no seed has both arms"),
    ],
)
def test_verdicts(differences: tuple[float, ...], verdict: Verdict, why: str) -> None:
    (found,) = judge([paired(*differences)], CRITERIA)
    assert found.verdict is verdict
    assert why in found.why
    assert bool(found.why) == bool(why)


def test_the_margin_decides_what_matters() -> None:
    differences = (-1.0, -1.2, -0.8, -1.1)
    for margin, verdict in ((0.5, Verdict.DEPENDS), (2.0, Verdict.INDEPENDENT)):
        criteria = Criteria(margin=margin)
        (found,) = judge([paired(*differences, criteria=criteria)], criteria)
        assert found.verdict is verdict


def test_the_more_is_asked_the_more_it_takes() -> None:
    one = paired(-1.0, -0.4, -1.9, -0.8)
    assert judge([one], CRITERIA)[0].verdict is Verdict.DEPENDS
    noise = [paired(-1.0, 1.1, 0.7, -0.9)] * 4
    several = judge([one, *noise], CRITERIA)
    assert several[0].verdict is Verdict.UNDECIDED
    p_alone, p_among = judge([one], CRITERIA)[0].p_different, several[0].p_different
    assert p_alone is not None
    assert p_among == pytest.approx(5 * p_alone)


def test_what_cannot_be_tested_costs_the_others_nothing() -> None:
    one = paired(-1.0, -0.4, -1.9, -0.8)
    found = judge([paired(-3.0), one, paired(), paired(1.0, 1.0)], CRITERIA)
    assert found[1] == judge([one], CRITERIA)[0]


@settings(max_examples=20)  # statsmodels collects all garbage at each call
@given(st.lists(st.floats(1e-9, 1), min_size=1, max_size=12))
def test_correction_is_holms_as_in_statsmodels(values: list[float]) -> None:
    family = [Paired({0: 0.0, 1: 1.0}, (0, 0), (0, 0), value, value) for value in values]
    found = [one.p_different for one in judge(family, CRITERIA)]
    assert found == pytest.approx(list(multipletests(values, method="holm")[1]))


@pytest.mark.parametrize(("effect", "seeds"), [(0.3, 20), (1.0, 10), (2.0, 4)])
def test_power_of_the_difference_is_that_of_statsmodels(effect: float, seeds: int) -> None:
    found = power_different(effect, 1.0, np.array([seeds]), 0.05)
    assert found[0] == pytest.approx(TTestPower().power(effect, seeds, 0.05), abs=1e-6)


def test_power_of_equivalence_is_what_simulation_gives() -> None:
    random, seeds, std, criteria = np.random.default_rng(0), 12, 0.5, Criteria(margin=0.5)
    draws = [random.normal(0.1, std, seeds) for _ in range(2000)]
    hits = sum((paired(*draw, criteria=criteria).p_equivalent or 1) <= 0.05 for draw in draws)
    found = power_equivalent(0.1, std, np.array([seeds]), 0.05, 0.5)
    assert found[0] == pytest.approx(hits / len(draws), abs=0.03)


@pytest.mark.parametrize(
    ("mean", "std"), list(itertools.product((0.0, 0.2, 0.5, -0.8, 3.0, 20.0), (0.05, 0.5, 2.0)))
)
def test_seeds_to_decide_are_the_fewest_with_enough_power(mean: float, std: float) -> None:
    needed = seeds_to_decide(mean, std, 0.05, 0.5)
    assert needed is not None

    def power(seeds: int) -> float:
        at = np.array([seeds])
        found = (
            power_different(mean, std, at, 0.05),
            power_equivalent(mean, std, at, 0.05, 0.5),
        )
        return max(float(one[0]) for one in found)

    assert power(needed) >= POWER
    assert needed == 2 or power(needed - 1) < POWER


def test_what_takes_too_many_seeds_is_said_so() -> None:
    assert seeds_to_decide(0.01, 30.0, 0.05, 0.5) is None
    (found,) = judge([paired(60.0, -60.5, 0.0)], CRITERIA)
    assert found.verdict is Verdict.UNDECIDED
    assert found.seeds_needed is None


def test_an_undecided_question_asks_for_more_seeds_than_it_had() -> None:
    (found,) = judge([paired(-1.0, 0.0, -2.0, -1.0)], CRITERIA)
    assert found.seeds_needed is not None
    assert found.seeds_needed > 4
