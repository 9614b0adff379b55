"""Invariants of every registered ratio, on networks of any make."""

import dataclasses
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from hydra.utils import get_class, instantiate
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from torch import nn

from sanity.archs.resnet import ResNet
from sanity.archs.vgg import VGG
from sanity.core.errors import ConfigError
from sanity.networks.blueprint import blueprint as outline
from sanity.networks.build import skeleton
from sanity.networks.layers import Blueprint, Layer
from sanity.ratios.base import Allocation, Budget, Ratio, kept_share

OPTIONS = sorted((Path(__file__).parents[2] / "conf" / "ratio").glob("*.yaml"))
EXACT = {"global", "er", "erk", "erk_plus", "uniform_plus"}
each_ratio = pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.stem)


@st.composite
def networks(draw: st.DrawFn) -> Blueprint:
    """Convolutions of various shapes, then up to two linear layers."""
    sizes = st.tuples(st.integers(1, 64), st.integers(1, 64), st.sampled_from([1, 3]))
    layers = [
        Layer(f"conv{i}", "conv", (outputs, inputs, kernel, kernel))
        for i, (outputs, inputs, kernel) in enumerate(draw(st.lists(sizes, min_size=1, max_size=9)))
    ]
    for i, (outputs, inputs, _) in enumerate(draw(st.lists(sizes, max_size=2))):
        layers.append(Layer(f"fc{i}", "linear", (outputs, inputs)))
    head = [layer.name for layer in layers if layer.kind == "linear"][-1:]
    return Blueprint(tuple(layers), shortcuts=draw(st.booleans()), classifier=tuple(head))


sparsities = st.one_of(
    st.sampled_from([0.0, 0.5, 0.9, 0.98, 0.99, 0.9999, 1e-9]), st.floats(0, 1, exclude_max=True)
)


def allocate(option: Path, blueprint: Blueprint, sparsity: float) -> Allocation:
    ratio: Ratio = instantiate(OmegaConf.load(option), sparsity=sparsity)
    kept = kept_share(blueprint.total, sparsity)
    donor = {layer.name: kept_share(layer.total, sparsity) for layer in blueprint.layers}
    return ratio.allocate(blueprint, Budget(kept, donor=donor))


def possible(option: Path, blueprint: Blueprint, sparsity: float) -> bool:
    """Whether the ratio accepts this sparsity; if not, it must say so."""
    try:
        allocate(option, blueprint, sparsity)
    except ConfigError as error:
        assert re.match(r"ratio\.sparsity=\S+ leaves \d+ weights, but .+ needs \d+", str(error))  # noqa: PT017
        return False
    return True


@each_ratio
def test_yaml_names_the_module_and_repeats_the_defaults(option: Path) -> None:
    values = OmegaConf.to_container(OmegaConf.load(option))
    assert isinstance(values, dict)
    kind = get_class(values.pop("_target_"))
    assert issubclass(kind, Ratio)
    assert kind.__module__.removesuffix("_") == f"sanity.ratios.{option.stem}"
    assert values == dataclasses.asdict(kind())  # type: ignore[call-overload]


@each_ratio
@given(blueprint=networks(), sparsity=sparsities)
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.filter_too_much])
def test_counts_are_possible_and_meet_the_budget_where_promised(
    option: Path, blueprint: Blueprint, sparsity: float
) -> None:
    assume(possible(option, blueprint, sparsity))
    allocation = allocate(option, blueprint, sparsity)
    assert list(allocation.kept) == list(blueprint.names)
    pool = 0
    for layer in blueprint.layers:
        count = allocation.kept[layer.name]
        pool += layer.total if count is None else 0
        assert count is None or 0 <= count <= layer.total
    assert 0 <= allocation.pooled <= pool
    budget = kept_share(blueprint.total, sparsity)
    if option.stem in EXACT:
        assert allocation.total == budget
    assert allocation == allocate(option, blueprint, sparsity)


@each_ratio
@given(blueprint=networks(), pair=st.tuples(sparsities, sparsities))
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.filter_too_much])
def test_no_layer_gains_weights_when_sparsity_grows(
    option: Path, blueprint: Blueprint, pair: tuple[float, float]
) -> None:
    low, high = sorted(pair)
    assume(all(possible(option, blueprint, sparsity) for sparsity in pair))
    more, fewer = (allocate(option, blueprint, sparsity) for sparsity in (low, high))
    assert more.pooled >= fewer.pooled
    for name, count in fewer.kept.items():
        if count is not None:
            assert (more.kept[name] or 0) >= count


@each_ratio
def test_a_sparsity_that_leaves_nothing_is_refused_or_gives_empty_layers(option: Path) -> None:
    layers = (Layer("conv", "conv", (8, 8, 3, 3)), Layer("fc", "linear", (4, 8)))
    blueprint = Blueprint(layers, shortcuts=True, classifier=("fc",))
    if possible(option, blueprint, 0.9999):
        assert allocate(option, blueprint, 0.9999).total == 0


@each_ratio
@pytest.mark.parametrize("factory", [partial(ResNet, 20, 10), partial(VGG, 11, True, 100)])
def test_networks_of_the_paper_keep_as_many_weights_as_asked(
    option: Path, factory: Callable[[], nn.Module]
) -> None:
    blueprint = outline(skeleton(factory))
    for sparsity in (0.6, 0.9, 0.98):
        budget = kept_share(blueprint.total, sparsity)
        missing = budget - allocate(option, blueprint, sparsity).total
        if option.stem in EXACT:
            assert missing == 0
        elif option.stem == "ascend":  # the late layers it fills lose their surplus
            assert missing >= 0
        else:  # rounding only
            assert -5 <= missing <= len(blueprint.layers)
