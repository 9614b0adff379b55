"""Dense training with fused norms: PyTorch's gradients, and what goes on from there."""

import copy
import dataclasses

import pytest
import torch
from networks import NAMES, batch, mask_of, network
from torch import Tensor, nn

pytest.importorskip("numba")

from sanity.pruning.masks import Mask
from sanity.training.engines.dense import Dense
from sanity.training.engines.fused.engine import Fused, _Norm, _Normalise, _whole
from sanity.training.engines.program import program
from sanity.training.recipe import Recipe

RECIPE = Recipe(batch_size=20, lr=0.05, weight_decay=1e-3)
BF16 = dataclasses.replace(RECIPE, precision="bf16")


def fused(name: str, recipe: Recipe = RECIPE, mask: Mask | None = None, lr: float = 0.05) -> Fused:
    found, shape = network(name)
    engine = Fused(found, recipe, mask or {}, program(found, shape))
    engine.begin(lr)
    return engine


def dense(name: str, recipe: Recipe = RECIPE, *, exact: bool = False) -> Dense:
    found = network(name)[0]
    engine = Dense(found.double() if exact else found, recipe, {})
    engine.begin(0.05)
    return engine


def gradients(network: nn.Module) -> dict[str, Tensor]:
    found = {name: one.grad for name, one in network.named_parameters()}
    return {name: one.clone() for name, one in found.items() if one is not None}


def apart(found: dict[str, Tensor], expected: dict[str, Tensor]) -> float:
    assert found.keys() == expected.keys()
    pairs = [(found[name].double(), expected[name].double()) for name in found]
    distance = sum(float(((a - b) ** 2).sum()) for a, b in pairs)
    return (distance / sum(float((b**2).sum()) for _, b in pairs)) ** 0.5


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("images", [20, 3])
def test_gradients_are_those_of_float64(name: str, images: int) -> None:
    engine, rough, exact = fused(name, lr=0.0), dense(name), dense(name, exact=True)
    engine.step(*batch(network(name)[1], 20, seed=4))  # whose remains lie in memory
    engine.network.load_state_dict(network(name)[0].state_dict())
    x, y = batch(network(name)[1], images)
    loss, hits = engine.step(x, y)
    found = gradients(engine.network)
    other, same_hits = rough.step(x, y)
    right, _ = exact.step(x.double(), y)
    truth = gradients(exact.network)
    assert apart(found, truth) < max(1e-6, 6 * apart(gradients(rough.network), truth))
    assert abs(float(loss - right)) < max(1e-6, 6 * abs(float(other - right)))
    assert int(hits) == int(same_hits)
    kept, expected = dict(engine.network.named_buffers()), dict(exact.network.named_buffers())
    for one in kept:
        torch.testing.assert_close(kept[one].double(), expected[one].double(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_bf16_is_as_far_off_as_pytorchs(name: str) -> None:
    engine, rough, exact = fused(name, BF16), dense(name, BF16), dense(name, exact=True)
    x, y = batch(network(name)[1], 20)
    engine.step(x, y)
    rough.step(x, y)
    exact.step(x.double(), y)
    truth = gradients(exact.network)
    assert apart(gradients(engine.network), truth) > 1e-4
    assert apart(gradients(engine.network), truth) < 2 * apart(gradients(rough.network), truth)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("first", ["fused", "dense"])
def test_one_goes_on_where_the_other_stopped(name: str, first: str) -> None:
    both = [fused(name), dense(name)] if first == "fused" else [dense(name), fused(name)]
    both[0].step(*batch(network(name)[1], 20, seed=0))
    both[1].restore(copy.deepcopy(both[0].state()))
    for engine in both:
        engine.step(*batch(network(name)[1], 20, seed=1))
    states = [dict(engine.network.state_dict()) for engine in both]
    assert apart(*states) < 1e-5


@pytest.mark.parametrize("recipe", [RECIPE, BF16], ids=["fp32", "bf16"])
def test_the_bits_of_norms_do_not_depend_on_threads(recipe: Recipe) -> None:
    def computed(threads: int) -> list[Tensor]:
        torch.set_num_threads(threads)
        random = torch.Generator().manual_seed(0)
        norm = _Norm(nn.BatchNorm2d(5), True, False, torch.empty_like)
        y, r = (torch.randn(7, 5, 6, 6, generator=random).to(kind) for _ in range(2))
        y, r = (_whole(one).requires_grad_() for one in (y, r))
        z = _Normalise.apply(y, r, norm.module.weight, norm.module.bias, norm)
        (z.float() ** 3).sum().backward()
        found = [z, y.grad, r.grad, norm.module.weight.grad, norm.module.bias.grad]
        return [one.detach() for one in found if one is not None]

    kind, before = torch.bfloat16 if recipe is BF16 else torch.float32, torch.get_num_threads()
    try:
        first, *others = (computed(threads) for threads in (1, 2, 3))
    finally:
        torch.set_num_threads(before)
    assert len(first) == 5
    assert all(torch.equal(a, b) for other in others for a, b in zip(first, other, strict=True))


def test_pruned_weights_stay_zero_and_the_bits_are_the_same_again() -> None:
    def trained() -> dict[str, Tensor]:
        mask = mask_of(network("resnet")[0])
        engine = fused("resnet", mask=mask)
        for step in range(4):
            engine.step(*batch(network("resnet")[1], 20 if step % 2 else 11, seed=step))
        assert not engine.drift()
        return dict(engine.network.state_dict())

    first, second = trained(), trained()
    assert all(torch.equal(first[one], second[one]) for one in first)
