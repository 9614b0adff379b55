import pytest

from sanity.core.errors import ConfigError
from sanity.networks.layers import Blueprint, Layer
from sanity.ratios.base import Budget, Ratio, kept_share
from sanity.ratios.er import Er
from sanity.ratios.erk import Erk
from sanity.ratios.erk_plus import ErkPlus

LAYERS = Blueprint(
    (
        Layer("stem", "conv", (32, 3, 3, 3)),
        Layer("conv", "conv", (64, 32, 3, 3)),
        Layer("wide", "conv", (128, 64, 3, 3)),
        Layer("shortcut", "conv", (128, 64, 1, 1)),
        Layer("fc", "linear", (10, 128)),
    ),
    shortcuts=True,
    classifier=("fc",),
)


def densities(ratio: Ratio) -> dict[str, float]:
    assert ratio.sparsity is not None
    budget = Budget(kept_share(LAYERS.total, ratio.sparsity))
    allocation = ratio.allocate(LAYERS, budget)
    assert allocation.total == budget.kept
    kept = {name: count for name, count in allocation.kept.items() if count is not None}
    return {layer.name: kept[layer.name] / layer.total for layer in LAYERS.layers}


def test_er_densities_follow_the_channels() -> None:
    found = densities(Er(0.98))
    per_scale = {
        layer.name: found[layer.name]
        / ((layer.shape[0] + layer.shape[1]) / (layer.shape[0] * layer.shape[1]))
        for layer in LAYERS.layers
    }
    scale = per_scale["wide"]
    assert scale > 0
    assert per_scale == pytest.approx(dict.fromkeys(per_scale, scale), rel=0.05)


def test_erk_densities_follow_all_dimensions() -> None:
    found = densities(Erk(0.98))
    per_scale = {
        layer.name: found[layer.name] * layer.total / sum(layer.shape) for layer in LAYERS.layers
    }
    scale = per_scale["wide"]
    assert per_scale == pytest.approx(dict.fromkeys(per_scale, scale), rel=0.05)


def test_layers_above_density_1_are_dense_and_the_others_share_the_rest() -> None:
    found = densities(Erk(0.8))
    assert found["stem"] == found["fc"] == 1
    open_layers = {
        layer.name: found[layer.name] * layer.total / sum(layer.shape)
        for layer in LAYERS.layers
        if found[layer.name] < 1
    }
    assert set(open_layers) >= {"conv", "wide"}
    scale = open_layers["wide"]
    assert open_layers == pytest.approx(dict.fromkeys(open_layers, scale), rel=0.001)
    # The scale had to grow: the surplus of the dense layers went somewhere.
    unclipped = kept_share(LAYERS.total, 0.8) / sum(sum(layer.shape) for layer in LAYERS.layers)
    assert scale > unclipped


def test_erk_plus_keeps_the_last_linear_layer_and_spreads_the_rest_like_erk() -> None:
    found = densities(ErkPlus(0.98))
    assert found["fc"] == 1
    assert densities(Erk(0.98))["fc"] < 1
    others = {
        layer.name: found[layer.name] * layer.total / sum(layer.shape)
        for layer in LAYERS.layers
        if layer.name != "fc"
    }
    assert others == pytest.approx(dict.fromkeys(others, others["wide"]), rel=0.05)
    assert densities(ErkPlus(0.9, linear=0.5))["fc"] == 0.5


@pytest.mark.parametrize("kind", [Er, Erk, ErkPlus])
def test_at_sparsity_0_everything_stays(kind: type[Ratio]) -> None:
    assert set(densities(kind(sparsity=0.0)).values()) == {1.0}  # type: ignore[call-arg]


def test_erk_plus_refuses_a_linear_layer_that_leaves_nothing() -> None:
    with pytest.raises(
        ConfigError,
        match=r"^ratio\.sparsity=0\.99 leaves 1024 weights, but ratio\.linear=1\.0 of the "
        r"classifier needs 1280: lower ratio\.sparsity or ratio\.linear$",
    ):
        densities(ErkPlus(0.99))
    with pytest.raises(ConfigError, match=r"^ratio\.linear=2 is not possible"):
        densities(ErkPlus(0.9, linear=2))
