"""The sparse engine trains as the dense one does, but for rounding, and repeats its own bits."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from networks import NAMES, batch, mask_of, network, prune
from torch import Tensor, nn
from torch.nn import functional as F

from sanity.networks.layers import prunable_weights
from sanity.pruning.masks import Mask
from sanity.training import engines
from sanity.training.engines.base import Engine
from sanity.training.engines.dense import Dense
from sanity.training.recipe import Recipe

pytest.importorskip("numba")

RECIPE = Recipe(lr=0.05, batch_size=20, engine="sparse", nesterov=True)
BOUND = 2e-6
"""Of a gradient's error, against the whole gradient in float64; where a network makes much of
rounding, six times what PyTorch's own float32 has."""


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def sparse(name: str, density: float = 0.3, recipe: Recipe = RECIPE) -> Engine:
    found, shape = network(name)
    engine = engines.choose(found, recipe, mask_of(found, density), shape)
    assert engine.name == "sparse"
    engine.begin(recipe.lr)
    return engine


def dense(name: str, density: float = 0.3, recipe: Recipe = RECIPE) -> Engine:
    found, _ = network(name)
    engine = Dense(found, recipe, mask_of(found, density))
    engine.begin(recipe.lr)
    return engine


def tensors(network: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def apart(found: dict[str, Tensor], expected: dict[str, Tensor]) -> float:
    """The distance of all tensors together, relative to what is expected."""
    assert found.keys() == expected.keys()
    pairs = [(found[name].double(), expected[name].double()) for name in found]
    distance = sum(float(((a - b) ** 2).sum()) for a, b in pairs)
    return (distance / sum(float((b**2).sum()) for _, b in pairs)) ** 0.5


def gradients(network: nn.Module, mask: Mask, x: Tensor, y: Tensor) -> dict[str, Tensor]:
    """By PyTorch, of every parameter; 0 where weights are pruned."""
    network = copy.deepcopy(network).to(x.dtype).train()
    F.cross_entropy(network(x), y).backward()
    found = {}
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None
        layer = name.removesuffix(".weight")
        found[name] = parameter.grad * mask[layer] if layer in mask else parameter.grad
    return found


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("images", [20, 16, 3])  # a partial block, a whole one, a small one
def test_gradients_are_those_of_float64(name: str, images: int) -> None:
    engine: Any = sparse(name)
    x, y = batch(network(name)[1], images)
    before = prune(network(name)[0], mask_of(network(name)[0]))
    engine.begin(0.0)
    engine.step(*batch(network(name)[1], 20, seed=4))  # whose remains lie in memory
    loss, hits = engine.step(x, y)
    found = engine._parameters.spread(engine._parameters.gradient)
    exact = gradients(before, engine.mask, x.double(), y)
    rough = gradients(before, engine.mask, x, y)
    assert apart(found, exact) < max(BOUND, 6 * apart(rough, exact))
    logits = copy.deepcopy(before).train()(x).detach()
    assert float(loss) == pytest.approx(float(F.cross_entropy(logits, y)), rel=1e-5)
    assert int(hits) == int((logits.argmax(1) == y).sum())


@pytest.mark.parametrize("name", NAMES)
def test_trains_as_the_dense_engine_does(name: str) -> None:
    exact = Dense(network(name)[0].double(), RECIPE, mask_of(network(name)[0]))
    exact.begin(RECIPE.lr)
    ours, theirs = sparse(name), dense(name)
    for step in range(4):
        x, y = batch(network(name)[1], 20 if step % 2 else 11, seed=step)
        exact.step(x.double(), y)
        ours.step(x, y)
        theirs.step(x, y)
    truth = tensors(exact.network)
    # Rounding grows from step to step, in some networks by orders of magnitude.
    rough = apart(tensors(theirs.network), truth)
    assert apart(tensors(ours.network), truth) < max(1e-6, 6 * rough)
    assert not ours.drift()
    for layer, weight in prunable_weights(ours.network).items():
        assert not weight[~ours.mask[layer]].any()
    assert ours.state().momentum.keys() == theirs.state().momentum.keys()


@pytest.mark.parametrize("name", NAMES)
def test_the_bits_do_not_depend_on_threads(name: str, two_threads: None) -> None:
    def trained(threads: int) -> dict[str, Tensor]:
        torch.set_num_threads(threads)
        engine = sparse(name)
        for step in range(3):
            engine.step(*batch(network(name)[1], 20, seed=step))
        return tensors(engine.network)

    first = trained(2)
    for other in (trained(1), trained(2), trained(3)):
        assert all(torch.equal(first[key], other[key]) for key in first)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kinds", ["sparse sparse", "sparse dense", "dense sparse"])
def test_one_goes_on_where_another_stopped(name: str, kinds: str) -> None:
    make = {"sparse": sparse, "dense": dense}
    first, second = (make[kind](name) for kind in kinds.split())
    steps = [batch(network(name)[1], 20, seed=step) for step in range(4)]
    for x, y in steps[:2]:
        first.step(x, y)
    state = copy.deepcopy(first.state())
    second.restore(state)
    for x, y in steps[2:]:
        first.step(x, y)
        second.step(x, y)
    ours, theirs = tensors(second.network), tensors(first.network)
    if kinds == "sparse sparse":
        assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    else:
        assert apart(ours, theirs) < 1e-4


@pytest.mark.parametrize("name", NAMES)
def test_a_mask_may_move(name: str) -> None:
    both = sparse(name), dense(name)
    other = {layer: ~keep for layer, keep in mask_of(network(name)[0], 0.6).items()}
    other = {layer: keep if keep.any() else ~keep for layer, keep in other.items()}
    for step in range(2):
        both[0].step(*batch(network(name)[1], 20, seed=step))
    # From one state: rounding moves maxima of pools, and grows from step to step.
    both[1].restore(copy.deepcopy(both[0].state()))
    for engine in both:
        engine.move(other)
        weights = prunable_weights(engine.network)
        assert not any(weights[layer][~keep].any() for layer, keep in other.items())
        engine.step(*batch(network(name)[1], 20, seed=2))
    assert apart(tensors(both[0].network), tensors(both[1].network)) < 1e-4


@pytest.mark.parametrize("name", NAMES)
def test_gradients_of_pruned_weights_are_known(name: str) -> None:
    both = sparse(name), dense(name)
    assert both[0].gradients() == both[1].gradients() == {}
    both[0].step(*batch(network(name)[1], 20, seed=0))
    both[1].restore(copy.deepcopy(both[0].state()))
    for engine in both:
        engine.step(*batch(network(name)[1], 20, seed=1))
    before = tensors(both[0].network)
    ours, theirs = both[0].gradients(), both[1].gradients()
    assert apart(ours, theirs) < 1e-4
    assert any(ours[layer][~keep].any() for layer, keep in both[0].mask.items())
    assert all(torch.equal(before[key], one) for key, one in tensors(both[0].network).items())


def test_layers_without_any_weight_left() -> None:
    found, shape = network("resnet")
    mask = mask_of(found)
    mask["layer2.0.conv2"][:] = False
    mask["layer2.0.downsample.0"][:] = False
    engine: Any = engines.choose(found, RECIPE, mask, shape)
    engine.begin(0.05)
    x, y = batch(shape, 20)
    engine.step(x, y)
    grads = engine._parameters.spread(engine._parameters.gradient)
    before = prune(network("resnet")[0], mask)
    exact, rough = (gradients(before, mask, images, y) for images in (x.double(), x))
    assert apart(grads, exact) < max(BOUND, 6 * apart(rough, exact))


def test_statistics_keep_their_digits_far_from_zero() -> None:
    """Of activations whose mean is a thousand times their spread."""
    found, shape = network("resnet")
    with torch.no_grad():
        prunable_weights(found)["conv1"].abs_()
    mask = mask_of(found)
    twin = copy.deepcopy(found)
    engine: Any = engines.choose(found, RECIPE, mask, shape)
    engine.begin(0.05)
    x, y = batch(shape, 20)
    x = 1000 + x
    engine.step(x, y)
    grads = engine._parameters.spread(engine._parameters.gradient)
    exact = gradients(prune(twin, mask), mask, x.double(), y)
    rough = gradients(prune(twin, mask), mask, x, y)
    assert apart(grads, exact) < max(BOUND, 6 * apart(rough, exact))
