"""Forecasts come true as often as they say, and are silent where nothing can be said."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.power import TTestPower

from sanity.stats.criteria import Criteria
from sanity.stats.forecast import FEWEST, discernible, forecast
from sanity.stats.looks import level, up_to
from sanity.stats.paired import Paired, Taken, compare

FIXED = Criteria(margin=1.0)
GROWS = Criteria(margin=1.0, until="decided")


def paired(values: np.ndarray, most: int | None = None) -> Paired:
    changed = dict(enumerate(values))
    looks = tuple(tuple(range(count)) for count in up_to(len(values)))
    taken = None if most is None else Taken(looks, most)
    return compare(dict.fromkeys(changed, 0.0), changed, GROWS if most else FIXED, taken)


def decided(values: np.ndarray, different: float, equivalent: float) -> np.ndarray:
    """Whether t-tests at these levels decide, a row an experiment."""
    count = values.shape[1]
    error = values.std(1, ddof=1) / np.sqrt(count)
    mean = values.mean(1)
    outer, inner = (stats.t.isf(one, count - 1) * error for one in (different, equivalent))
    return (np.abs(mean) > outer) | (np.abs(mean) < 1.0 - inner)


def test_the_chance_of_a_verdict_is_that_of_experiments_that_go_on() -> None:
    """Of many with true means all over the place, those that a forecast gives so many seeds."""
    random = np.random.default_rng(0)
    promised, kept = [], []
    for _ in range(1500):
        true = random.uniform(-4, 4)  # about the flat prior that a forecast has
        values = random.normal(true, 1.5, 60)
        ahead = forecast(paired(values[:9], most=60), GROWS, 0.0125)
        assert ahead is not None
        if ahead.seeds is not None and ahead.seeds > 13:
            look = up_to(60).index(ahead.seeds)
            levels = level(look, 0.00625), level(look, 0.0125)
            promised.append(ahead.seeds)
            kept.append(bool(decided(values[None, : ahead.seeds], *levels)[0]))
    assert len(promised) > 200
    assert 0.4 < np.mean(kept) < 0.8  # "as likely as not", in steps of looks


def test_new_seeds_of_a_fixed_design_are_another_sample() -> None:
    values = np.random.default_rng(1).normal(0.6, 1.0, 8)
    ahead, going_on = (
        forecast(paired(values), FIXED, 0.05),
        forecast(paired(values, 60), GROWS, 0.05),
    )
    assert ahead is not None
    assert going_on is not None
    assert ahead.fewest is not None
    assert ahead.seeds is not None
    assert ahead.most is not None
    assert ahead.fewest <= ahead.seeds <= ahead.most
    assert going_on.seeds in up_to(60)


@pytest.mark.parametrize(
    ("effect", "depends"),
    [(0.1, False), (-0.1, False), (-1.6, True), (1.6, True), (0.5, None), (-0.5, None)],
)
def test_it_says_which_way_it_leans(effect: float, depends: bool | None) -> None:
    spread = np.array([-1.0, 1.0, -0.8, 0.8, -0.5, 0.5])
    for most in (None, 60):
        values = effect + 0.8 * spread
        ahead = forecast(paired(values, most), GROWS if most else FIXED, 0.0025)
        assert ahead is not None
        assert ahead.depends is depends


def test_few_seeds_or_no_spread_give_no_forecast() -> None:
    assert forecast(paired(np.array([0.1, -0.4, 0.3, 0.0])), FIXED, 0.05) is None
    assert len([0.1, -0.4, 0.3, 0.0]) == FEWEST - 1
    assert forecast(paired(np.ones(8)), FIXED, 0.05) is None


def test_what_nobody_could_decide_is_said() -> None:
    ahead = forecast(
        paired(np.array([40.0, -41.0, 39.0, -38.0, 2.0, 1.0, -1.0, 0.0, 3.0]), 13), GROWS, 0.05
    )
    assert ahead is not None
    assert ahead.seeds is None
    assert ahead.chance < 0.1


@pytest.mark.parametrize("seeds", [3, 5, 12])
def test_what_a_fixed_design_can_tell_is_as_in_statsmodels_and_simulated(seeds: int) -> None:
    difference, margin = discernible(seeds, Criteria(), 4)
    assert TTestPower().power(difference, seeds, 0.05 / 4) == pytest.approx(0.8, abs=2e-3)
    values = np.random.default_rng(0).standard_normal((20_000, seeds))
    error = values.std(1, ddof=1) / np.sqrt(seeds)
    inside = np.abs(values.mean(1)) < margin - stats.t.isf(0.05 / 4, seeds - 1) * error
    assert inside.mean() == pytest.approx(0.8, abs=0.02)


def test_a_growing_design_pays_for_its_looks() -> None:
    assert all(np.array(discernible(28, GROWS, 4)) > discernible(28, Criteria(), 4))
    assert discernible(30, GROWS, 4) == discernible(28, GROWS, 4)  # there is no look between


def test_a_look_that_has_ended_is_not_ahead_though_runs_of_it_failed() -> None:
    changed = {0: 0.3, 1: -0.4, 2: 0.2, 3: 0.1, 5: -0.1}
    looks = tuple(tuple(range(count)) for count in (4, 6))
    found = compare(dict.fromkeys(changed, 0.0), changed, GROWS, Taken(looks, 60))
    assert found.seeds == 5
    ahead = forecast(found, GROWS, 0.05)
    assert ahead is not None
    assert ahead.fewest == 9
