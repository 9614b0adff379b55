"""From tests to words."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from sanity.stats.criteria import Criteria
from sanity.stats.looks import up_to
from sanity.stats.paired import Look, Paired, Taken, compare
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
    looks = (Look(2, (0, 0), (0, 0), value, value) for value in values)
    family = [Paired({0: 0.0, 1: 1.0}, (look,)) for look in looks]
    found = [one.p_different for one in judge(family, CRITERIA)]
    assert found == pytest.approx(list(multipletests(values, method="holm")[1]))


GROWS = Criteria(margin=1.0, until="decided")
MOST = 60


def grown(values: np.ndarray, *, most: int = MOST, seen: bool = False) -> Paired:
    """Differences of an experiment that has grown to so many seeds."""
    changed = dict(enumerate(values))
    looks = tuple(tuple(range(count)) for count in up_to(len(values)))
    return compare(dict.fromkeys(changed, 0.0), changed, GROWS, Taken(looks, most, seen))


def test_a_growing_experiment_is_judged_at_its_looks_and_nowhere_between() -> None:
    values = np.random.default_rng(0).normal(-2.0, 1.0, 12)
    at_nine, between = judge([grown(values[:9])], GROWS), judge([grown(values)], GROWS)
    assert [look.seeds for look in between[0].paired.looks] == [4, 6, 9]
    assert between[0].p_different == at_nine[0].p_different
    early = judge([grown(values[:3])], GROWS)[0]
    assert early.verdict is Verdict.UNDECIDED
    assert "no look is complete yet" in early.why


def test_its_p_values_only_fall_and_its_verdict_stays() -> None:
    random = np.random.default_rng(1)
    for effect in (0.0, 0.5, -1.0, 2.0):
        values = random.normal(effect, 1.0, 60)
        verdicts, last = [], (1.0, 1.0)
        for count in up_to(60):
            (found,) = judge([grown(values[:count])], GROWS)
            p = (found.paired.p_different or 1.0, found.paired.p_equivalent or 1.0)
            assert p <= last
            last = p
            verdicts += [(found.verdict, found.seeds)] if found.is_decided else []
        assert len({*verdicts}) == 1, effect


def test_one_verdict_at_a_look_helps_the_others_at_the_same_look() -> None:
    weak, strong = grown(NEARLY), grown(np.array([-9.0, -9.1, -8.9, -9.0]))
    alone, among = judge([weak], GROWS)[0], judge([weak, grown(-NEARLY), strong], GROWS)[0]
    assert alone.p_different is not None
    assert among.p_different == pytest.approx(2 * alone.p_different)  # of three, one is decided


NEARLY = np.array([-1.9, -2.1, -1.6, -2.4])


def test_a_family_has_its_size_before_all_its_questions_are_tested() -> None:
    nothing_yet = compare({}, {}, GROWS, Taken((), MOST))
    alone, among = (
        judge([grown(NEARLY)], GROWS)[0],
        judge([grown(NEARLY)] + 3 * [nothing_yet], GROWS)[0],
    )
    assert alone.p_different is not None
    assert among.p_different == pytest.approx(min(1.0, 4 * alone.p_different))
    assert among.level == GROWS.alpha / 4


def test_seeds_that_were_seen_before_cost_half_of_the_error() -> None:
    once, twice = grown(NEARLY), grown(NEARLY, seen=True)
    assert twice.p_different == pytest.approx(2 * (once.p_different or 0))
    assert once.interval is not None
    assert twice.interval is not None
    assert twice.interval[0] < once.interval[0]
    assert judge([twice], GROWS)[0].level == GROWS.alpha / 2
    assert [one.family for one in judge([twice, once, once], GROWS)] == [3, 3, 3]


def test_a_look_without_new_seeds_is_none() -> None:
    changed = dict(enumerate(NEARLY))
    looks = tuple(tuple(range(count)) for count in (4, 6, 9))
    found = compare(dict.fromkeys(changed, 0.0), changed, GROWS, Taken(looks, MOST))
    assert [look.seeds for look in found.looks] == [4]


def test_equal_differences_wait_for_others() -> None:
    (found,) = judge([grown(np.zeros(6))], GROWS)
    assert found.verdict is Verdict.UNDECIDED
    assert "equal" in found.why
    assert found.is_open
    assert not judge([grown(np.zeros(9))], GROWS)[0].is_open


def test_what_cannot_be_decided_any_more_is_given_up_and_nothing_is_early() -> None:
    noise = np.random.default_rng(2).normal(0.0, 20.0, 13)
    assert judge([grown(noise[:6])], GROWS)[0].is_open
    given_up = judge([grown(noise, most=19)], GROWS)[0]
    assert given_up.verdict is Verdict.UNDECIDED
    assert not given_up.is_open
    near = np.random.default_rng(3).normal(0.0, 1.0, 13)
    assert judge([grown(near, most=40)] * 3, GROWS)[0].is_open
    assert not judge([paired(-1.0, 0.0, -2.0, -1.0)], CRITERIA)[0].is_open  # fixed beforehand


def test_too_few_or_equal_pairs_at_a_look_wait_for_the_next() -> None:
    """A run that failed, or a coincidence, must not close a question."""
    for values in (np.zeros(3), np.array([0.0, 0.0, 0.0, 0.0, 0.3])):
        (found,) = judge([grown(values)], GROWS)
        assert found.verdict is Verdict.UNDECIDED
        assert found.is_open
    assert judge([grown(np.zeros(1))], GROWS)[0].verdict is Verdict.NONE


def test_what_is_given_up_is_judged_by_the_questions_that_are_left() -> None:
    wide = np.random.default_rng(4).normal(0.0, 1.9, 28)
    same = np.random.default_rng(5).normal(0.0, 0.2, 28)
    alone = judge([grown(wide)], GROWS)[0]
    among = judge([grown(wide), *(grown(same + shift) for shift in np.linspace(0, 0.1, 9))], GROWS)
    assert among[0].level == GROWS.alpha / 10
    assert among[0].step == alone.step == GROWS.alpha
    assert among[0].is_open == alone.is_open
    crowd = judge([grown(wide)] + [grown(wide + 0.1) for _ in range(9)], GROWS)[0]
    assert crowd.step == GROWS.alpha / 10


def test_a_direction_is_that_of_the_look_that_decided() -> None:
    values = np.array([-3.0, -3.1, -2.9, -3.0, *[9.0] * 2])
    (found,) = judge([grown(values)], GROWS)
    assert found.verdict is Verdict.DEPENDS
    assert found.seeds == 4
    assert found.effect == pytest.approx(-3.0)
    assert (found.paired.mean or 0) > 0
    assert "better" not in found.why
