from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sanity.pruning.shares import share_out

Bounded = tuple[int, int, int]


@st.composite
def bounded(draw: st.DrawFn) -> list[Bounded]:
    """Some (weight, lower, upper)."""
    rows = st.tuples(st.integers(1, 500), st.integers(0, 300), st.integers(0, 300))
    return [(w, min(a, b), max(a, b)) for w, a, b in draw(st.lists(rows, min_size=1, max_size=8))]


def split(total: int, rows: list[Bounded]) -> list[int]:
    weights, lower, upper = (list(column) for column in zip(*rows, strict=True))
    return share_out(total, weights, lower, upper)


def by_single_steps(total: int, rows: list[Bounded]) -> list[int]:
    """The definition itself: hand out one weight after another to the next in line."""
    counts = [low for _, low, _ in rows]
    while sum(counts) < total:
        open_rows = [i for i, (_, _, high) in enumerate(rows) if counts[i] < high]
        if not open_rows:
            break
        counts[min(open_rows, key=lambda i: Fraction(counts[i] + 1, rows[i][0]))] += 1
    return counts


@given(bounded(), st.floats(0, 1))
def test_equals_handing_out_one_by_one(rows: list[Bounded], share: float) -> None:
    low, high = sum(r[1] for r in rows), sum(r[2] for r in rows)
    total = low + int(share * (high - low))
    counts = split(total, rows)
    assert sum(counts) == total
    assert counts == by_single_steps(total, rows)


@given(bounded())
def test_no_count_falls_when_the_total_grows(rows: list[Bounded]) -> None:
    low, high = sum(r[1] for r in rows), sum(r[2] for r in rows)
    step = max(1, (high - low) // 40)
    path = [split(total, rows) for total in range(low, high + 1, step)]
    for before, after in pairwise(path):
        assert all(a <= b for a, b in zip(before, after, strict=True))


@given(bounded(), st.floats(0, 1))
def test_free_counts_follow_their_weights(rows: list[Bounded], share: float) -> None:
    rows = [(w, 0, 10**6) for w, _, _ in rows]
    total = int(share * 10**6)
    for count, (weight, _, _) in zip(split(total, rows), rows, strict=True):
        exact = Fraction(total * weight, sum(w for w, _, _ in rows))
        assert int(exact) <= count < exact + len(rows)


@pytest.mark.parametrize(("total", "expected"), [(0, [2, 1]), (99, [10, 20]), (30, [10, 20])])
def test_totals_outside_the_bounds_give_the_nearer_one(total: int, expected: list[int]) -> None:
    assert split(total, [(3, 2, 10), (5, 1, 20)]) == expected
