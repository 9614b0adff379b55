"""The contract in base.py: exact shares, and the path of iterative pruners."""

import re
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from math import floor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sanity.core.config import PROJECT
from sanity.networks.layers import Blueprint, Layer
from sanity.pruning.shares import share_out
from sanity.ratios.base import Allocation, Budget, Ratio, floor_share, kept_share, sparsity_of


def outline(*totals: int) -> Blueprint:
    layers = tuple(Layer(f"l{i}", "conv", (n, 1, 1, 1)) for i, n in enumerate(totals))
    return Blueprint(layers, shortcuts=True)


@pytest.mark.parametrize(
    ("total", "sparsity", "kept"),
    [
        (20_024_000, 0.9, 2_002_400),  # int(20024000 * (1 - 0.9)) is one less
        (1_081_440, 0.8, 216_288),
        (1_855_584, 0.98, 37_111),
        (10, 0.0, 10),
        (10, 0.95, 0),
        (1_000_000, 1e-6, 999_999),
        (1_000_000, 0.999999, 1),
    ],
)
def test_kept_share_is_exact_in_the_decimals_as_written(
    total: int, sparsity: float, kept: int
) -> None:
    assert kept_share(total, sparsity) == kept


@given(st.integers(0, 10**8), st.integers(0, 1000))
def test_shares_of_thousandths_are_exact(total: int, thousandths: int) -> None:
    share = thousandths / 1000
    assert floor_share(total, share) == floor(Fraction(total * thousandths, 1000))
    assert kept_share(total, share) == floor(Fraction(total * (1000 - thousandths), 1000))


@given(st.integers(1, 10**9), st.floats(0, 1))
def test_a_sparsity_leaves_as_many_weights_as_it_is_read_from(total: int, share: float) -> None:
    kept = int(total * share)
    assert kept_share(total, sparsity_of(kept, total)) == kept


@pytest.mark.parametrize(
    ("kept", "total", "sparsity"),
    [(37_111, 1_855_584, 0.98), (5, 10, 0.5), (10, 10, 0.0), (0, 10, 1.0), (503, 2516, 0.8)],
)
def test_it_is_the_shortest_one(kept: int, total: int, sparsity: float) -> None:
    assert sparsity_of(kept, total) == sparsity


def test_total_and_empty_layers() -> None:
    allocation = Allocation({"a": 3, "b": None, "c": 0}, pooled=4)
    assert allocation.total == 7
    assert allocation.empty == ["c"]


def test_densities_fall_geometrically() -> None:
    blueprint = outline(1000, 1000, 500)
    final = Allocation({"l0": 10, "l1": None, "l2": None}, pooled=15)
    half = final.at(0.5, blueprint)
    assert half.kept == {"l0": 100, "l1": None, "l2": None}
    assert half.pooled == 150
    assert final.at(0.0, blueprint).total == 2500


def test_a_layer_that_ends_empty_stays_alive_until_the_last_step() -> None:
    blueprint = outline(1000)
    final = Allocation({"l0": 0})
    steps = [final.at(k / 10, blueprint).total for k in range(11)]
    assert steps[0] == 1000
    assert all(a > b for a, b in pairwise(steps))
    assert steps[-2] >= 1
    assert steps[-1] == 0


@given(
    st.lists(
        st.tuples(st.integers(1, 10**6), st.floats(0, 1), st.booleans()), min_size=1, max_size=6
    ),
    st.integers(1, 100),
)
def test_the_path_is_nested_and_ends_at_the_allocation(
    drawn: list[tuple[int, float, bool]], steps: int
) -> None:
    blueprint = outline(*(total for total, _, _ in drawn))
    counts = [int(total * share) for total, share, _ in drawn]
    pools = [pools for _, _, pools in drawn]
    final = Allocation(
        {
            name: None if pool else count
            for name, count, pool in zip(blueprint.names, counts, pools, strict=True)
        },
        pooled=sum(count for count, pool in zip(counts, pools, strict=True) if pool),
    )
    path = [final.at(step / steps, blueprint) for step in range(steps + 1)]
    assert path[0].total == blueprint.total
    assert path[-1] == final
    for before, after in pairwise(path):
        assert before.pooled >= after.pooled >= final.pooled
        for name, target in final.kept.items():
            earlier, later = before.kept[name], after.kept[name]
            if target is None or earlier is None or later is None:
                assert target is earlier is later is None
            else:
                assert earlier >= later >= target


@pytest.mark.parametrize("sparsity", [0.5, 0.8, 0.98, 0.999])
def test_the_ratio_that_the_readme_shows_meets_its_budget(sparsity: float) -> None:
    text = (PROJECT / "sanity" / "pruners" / "README.md").read_text(encoding="utf-8")
    found = re.search(r"@dataclass\nclass EqualCounts.*?(?=\n\n\n)", text, re.DOTALL)
    assert found is not None
    scope: dict[str, Any] = {"dataclass": dataclass, "share_out": share_out}
    scope |= {one.__name__: one for one in (Ratio, Blueprint, Budget, Allocation)}
    exec(found[0], scope)
    network = outline(288, 9216, 36_864, 2048, 147_456, 1280)
    budget = Budget(kept_share(network.total, sparsity))
    allocation = scope["EqualCounts"](sparsity).allocate(network, budget)
    assert allocation.total == budget.kept
    counts = [(allocation.kept[layer.name], layer.total) for layer in network.layers]
    free = [count for count, total in counts if count is not None and count < total]
    assert max(free) - min(free) <= 1, "equal, but for layers that are too small"
