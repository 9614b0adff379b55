from typing import Any, cast

import pytest

from sanity.core.errors import ConfigError
from sanity.networks.layers import Blueprint, Layer
from sanity.ratios.base import Budget
from sanity.ratios.global_ import Global

LAYERS = Blueprint(
    (Layer("conv", "conv", (10, 90, 1, 1)), Layer("fc", "linear", (10, 10))),
    shortcuts=True,
    classifier=("fc",),
)


@pytest.mark.parametrize(
    ("linear", "linear_dense", "kept", "pooled"),
    [
        ("auto", False, None, 200),
        ("auto", True, 100, 100),
        ("dense", False, 100, 100),
        ("prune", True, None, 200),
        (0.25, True, 25, 175),
        (0, False, 0, 200),
        (1, False, 100, 100),
    ],
)
def test_linear_policy(
    linear: str | float, linear_dense: bool, kept: int | None, pooled: int
) -> None:
    allocation = Global(0.8, cast(Any, linear)).allocate(LAYERS, Budget(200, linear_dense))
    assert allocation.kept == {"conv": None, "fc": kept}
    assert allocation.pooled == pooled
    assert allocation.total == 200


def test_hidden_linear_layers_compete_like_all_others() -> None:
    hidden = Layer("hidden", "linear", (100, 30))
    layers = Blueprint((LAYERS.layers[0], hidden, LAYERS.layers[1]), False, ("fc",))
    allocation = Global(0.9).allocate(layers, Budget(400, linear_dense=True))
    assert allocation.kept == {"conv": None, "hidden": None, "fc": 100}
    assert allocation.pooled == 300


def test_pool_holds_no_more_than_its_layers() -> None:
    allocation = Global(0.0, linear=0.3).allocate(LAYERS, Budget(1000))
    assert (allocation.kept["fc"], allocation.pooled) == (30, 900)


@pytest.mark.parametrize("kept", [100, 99, 0])
def test_refuses_a_dense_linear_layer_that_leaves_nothing(kept: int) -> None:
    with pytest.raises(
        ConfigError,
        match=rf"^ratio\.sparsity=0\.98 leaves {kept} weights, but the classifier kept dense "
        r"needs 100: lower ratio\.sparsity or set ratio\.linear=prune$",
    ):
        Global(0.98).allocate(LAYERS, Budget(kept, linear_dense=True))
    assert Global(0.98, "prune").allocate(LAYERS, Budget(kept)).total == kept


@pytest.mark.parametrize("linear", ["pruned", "0.3", 1.1, -1])
def test_refuses_an_unknown_policy(linear: str | float) -> None:
    with pytest.raises(ConfigError, match=r"choose auto, dense, prune or a keep ratio from 0 to 1"):
        Global(0.9, cast(Any, linear)).allocate(LAYERS, Budget(100))
