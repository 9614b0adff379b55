"""Paired differences and their tests, against values worked out by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.weightstats import ttost_paired

from sanity.stats.criteria import Criteria
from sanity.stats.paired import compare

ORIGINAL = {0: 97.0, 1: 96.0, 2: 98.0, 3: 97.0}
CHANGED = {0: 96.0, 1: 96.0, 2: 96.0, 3: 96.0}  # differences -1, 0, -2, -1
T_95 = 3.182446305284263  # Student's t, 3 degrees of freedom, two-sided 5% (any table)
T_90 = 2.353363434801824  # the same, two-sided 10%


def test_worked_out_by_hand() -> None:
    found = compare(ORIGINAL, CHANGED, Criteria(margin=0.5))
    assert found.differences == {0: -1.0, 1: 0.0, 2: -2.0, 3: -1.0}
    assert found.seeds == 4
    assert found.mean == pytest.approx(-1)
    # Squared deviations 0, 1, 1, 0 over 3.
    std = math.sqrt(2 / 3)
    assert found.std == pytest.approx(std)
    error = std / 2
    assert found.interval == pytest.approx((-1 - T_95 * error, -1 + T_95 * error))
    assert found.narrow == pytest.approx((-1 - T_90 * error, -1 + T_90 * error))
    # t = -1 / error = -2.449; with 3 degrees of freedom p = 0.0917 (two-sided).
    assert found.p_different == pytest.approx(0.0917, abs=5e-5)
    # The harder of the two one-sided tests: t = (-1 + 0.5) / error = -1.2247, p = P(T > t).
    assert found.p_equivalent == pytest.approx(0.8460, abs=5e-4)


def test_equivalence_worked_out_by_hand() -> None:
    found = compare(ORIGINAL, CHANGED, Criteria(margin=2.5))
    # t = (-1 + 2.5) / error = 3.674: P(T > 3.674) = 0.01746
    assert found.p_equivalent == pytest.approx(0.01746, abs=5e-5)


accuracies = st.lists(
    st.tuples(st.floats(0, 100).map(lambda x: round(x, 2)), st.floats(0, 100)), min_size=2
)


@given(pairs=accuracies, margin=st.floats(0.1, 5))
def test_the_same_as_the_paired_tests_of_scipy_and_statsmodels(
    pairs: list[tuple[float, float]], margin: float
) -> None:
    first, second = zip(*pairs, strict=True)
    found = compare(dict(enumerate(first)), dict(enumerate(second)), Criteria(margin=margin))
    if not found.looks or (found.std or 0) < 1e-6:
        return
    p_equivalent = ttost_paired(np.array(second), np.array(first), -margin, margin)[0]
    assert found.p_different == pytest.approx(stats.ttest_rel(second, first).pvalue, abs=1e-9)
    assert found.p_equivalent == pytest.approx(p_equivalent, abs=1e-9)
    assert found.narrow is not None
    within = -margin < found.narrow[0] and found.narrow[1] < margin
    assert within == ((found.p_equivalent or 0) <= 0.05)


def test_only_seeds_that_both_arms_have_are_paired() -> None:
    found = compare({0: 90.0, 1: 91.0, 5: 95.0}, {1: 92.0, 5: 93.0, 7: 10.0}, Criteria())
    assert found.differences == {1: 1.0, 5: -2.0}


@pytest.mark.parametrize(("seeds", "mean"), [(0, None), (1, -2.0)])
def test_fewer_than_two_seeds_are_not_tested(seeds: int, mean: float | None) -> None:
    original = dict.fromkeys(range(seeds), 90.0)
    found = compare(original, dict.fromkeys(range(seeds), 88.0), Criteria())
    assert not found.looks
    assert found.mean == mean
    assert found.std is None
    assert found.interval is None


def test_equal_differences_are_not_tested_though_floats_differ_in_the_last_bit() -> None:
    original = {0: 97.5, 1: 98.05555555555556, 2: 96.94444444444444}
    changed = {seed: value - 0.2777777777777777 for seed, value in original.items()}
    assert not compare(original, changed, Criteria()).looks
