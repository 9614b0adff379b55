import pytest

from sanity.core.errors import ConfigError
from sanity.networks.layers import Blueprint, Layer
from sanity.ratios.base import Budget, kept_share
from sanity.ratios.uniform_plus import UniformPlus

LAYERS = Blueprint(
    (
        Layer("stem", "conv", (10, 3, 1, 1)),
        Layer("a", "conv", (100, 10, 1, 1)),
        Layer("b", "conv", (100, 20, 1, 1)),
        Layer("hidden", "linear", (30, 100)),
        Layer("fc", "linear", (10, 30)),
    ),
    shortcuts=False,
    classifier=("fc",),
)


def counts(ratio: UniformPlus) -> dict[str, int | None]:
    budget = Budget(kept_share(LAYERS.total, ratio.sparsity))
    allocation = ratio.allocate(LAYERS, budget)
    assert allocation.total == budget.kept
    return dict(allocation.kept)


def test_ends_are_spared_and_all_between_are_alike() -> None:
    kept = counts(UniformPlus(0.9))
    left = 633 - 30 - 60
    assert kept["stem"] == 30
    assert kept["fc"] == 60
    for name, total in (("a", 1000), ("b", 2000), ("hidden", 3000)):
        assert kept[name] == pytest.approx(left * total / 6000, abs=1)


def test_a_common_density_above_the_least_one_holds_for_the_last_layer_too() -> None:
    kept = counts(UniformPlus(0.5))
    density = (3165 - 30) / 6300
    for name, total in (("a", 1000), ("b", 2000), ("hidden", 3000), ("fc", 300)):
        assert kept[name] == pytest.approx(density * total, abs=1)


def test_refuses_sparsities_the_ends_alone_exceed() -> None:
    with pytest.raises(ConfigError, match=r"^ratio\.sparsity=0\.99 leaves 63 weights.* needs 90"):
        counts(UniformPlus(0.99))
    with pytest.raises(ConfigError, match=r"^ratio\.linear=-1 is not possible"):
        counts(UniformPlus(0.9, linear=-1))
