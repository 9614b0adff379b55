"""Boundaries of growing experiments: published tables, simulation, and what must always be true."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from sanity.stats import looks

FIFTHS = np.array([0.2, 0.4, 0.6, 0.8, 1.0])


def spent(cumulative: np.ndarray) -> list[np.ndarray]:
    return [np.array([one]) for one in np.diff(cumulative, prepend=0.0)]


@pytest.mark.parametrize(
    ("cumulative", "published"),
    [  # two-sided 5%, five equal parts (Reboussin et al. 2000, ldbounds)
        (0.025 * np.log(1 + (np.e - 1) * FIFTHS), (2.4380, 2.4268, 2.4101, 2.3966, 2.3859)),
        (
            2 * stats.norm.sf(stats.norm.isf(0.0125) / np.sqrt(FIFTHS)),
            (4.8769, 3.3569, 2.6803, 2.2898, 2.0310),
        ),
    ],
    ids=["Pocock", "O'Brien-Fleming"],
)
def test_of_many_seeds_the_boundaries_are_the_published_normal_ones(
    cumulative: np.ndarray, published: tuple[float, ...]
) -> None:
    found = looks.levels([600, 1200, 1800, 2400, 3000], spent(cumulative))
    assert stats.norm.isf(np.concatenate(found)) == pytest.approx(published, abs=0.012)


def test_the_error_over_all_looks_is_what_was_spent() -> None:
    seeds, random = looks.up_to(60), np.random.default_rng(0)
    draws = random.standard_normal((200_000, seeds[-1]), dtype=np.float32)
    p = []
    for count in seeds:
        some = draws[:, :count]
        t = some.mean(1) / (some.std(1, ddof=1) / np.sqrt(count))
        p.append(stats.t.sf(t, count - 1))
    for error in (0.05, 0.0125, 0.0025):
        rejects = np.array([one <= looks.level(number, error) for number, one in enumerate(p)])
        first = rejects & (np.cumsum(rejects, axis=0) == 1)
        due = error * looks.SHARE * (1 - looks.SHARE) ** np.arange(len(seeds))
        noise = np.sqrt(due / len(draws))
        assert np.all(np.abs(first.mean(1) - due) < 4 * noise)  # at every look
        assert rejects.any(0).mean() == pytest.approx(due.sum(), abs=4 * noise[0])


def test_looks_come_after_half_as_many_seeds_more() -> None:
    found = list(itertools.islice(looks.seeds_at(), 13))
    assert found == [4, 6, 9, 13, 19, 28, 40, 60, 90, 130, 190, 280, 400]
    assert looks.up_to(39) == (4, 6, 9, 13, 19, 28)
    assert looks.up_to(3) == ()


@settings(deadline=None)  # boundaries are computed once, in half a second
@given(st.integers(0, 9), st.floats(1e-7, 0.4))
def test_error_is_the_inverse_of_level(look: int, error: float) -> None:
    assert looks.error(look, looks.level(look, error)) == pytest.approx(error, rel=1e-6)


@settings(deadline=None)  # boundaries are computed once, in half a second
@given(st.integers(0, 9), st.floats(0, 1), st.floats(0, 1))
def test_a_smaller_p_value_is_never_worth_less(look: int, one: float, other: float) -> None:
    small, large = sorted((one, other))
    assert looks.error(look, small) <= looks.error(look, large) <= 1


@settings(deadline=None)  # boundaries are computed once, in half a second
@given(st.integers(0, 9), st.floats(1e-6, 0.2))
def test_no_look_is_dearer_than_its_share_or_cheaper_than_one_test(look: int, error: float) -> None:
    share = looks.SHARE * (1 - looks.SHARE) ** look * error
    assert share * 0.999 <= looks.level(look, error) <= error
