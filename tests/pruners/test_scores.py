"""Scores against independent restatements, in double precision."""

from collections.abc import Callable
from copy import deepcopy
from typing import cast

import pytest
import torch
import torch.nn.functional as F
from pruning_cases import INPUT_SHAPE, batches, scoring, tiny_network
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.utils.prune import L1Unstructured, global_unstructured

from sanity.core.errors import ConfigError
from sanity.networks.blueprint import blueprint
from sanity.networks.layers import prunable_weights
from sanity.pruners.grasp import GraSP
from sanity.pruners.magnitude import Magnitude, magnitudes
from sanity.pruners.random import Random
from sanity.pruners.snip import SNIP
from sanity.pruners.synflow import SynFlow
from sanity.pruning import masks
from sanity.pruning.selection import find_mask, select
from sanity.ratios.base import Allocation

DOUBLE = torch.float64


def loss_of(network: nn.Module, weights: dict[str, Tensor], temperature: float = 1.0) -> Tensor:
    """The sum over batches of the loss, with prunable weights replaced; batch norm in training."""
    network.train()  # its running statistics do not enter
    replaced = {f"{name}.weight": weight for name, weight in weights.items()}
    total = torch.zeros((), dtype=DOUBLE)
    for images, labels in batches(dtype=DOUBLE):
        logits = functional_call(network, replaced, (images,)) / temperature
        total = total + F.cross_entropy(logits, labels)
    return total


def detached(network: nn.Module) -> dict[str, Tensor]:
    return {name: weight.detach().clone() for name, weight in prunable_weights(network).items()}


@torch.no_grad()
def central_difference(
    value: Callable[[dict[str, Tensor]], Tensor], weights: dict[str, Tensor], step: float
) -> dict[str, Tensor]:
    """Derivatives of a scalar by every fifth weight, one at a time; NaN for the others."""
    derivatives = {}
    for name, weight in weights.items():
        result = torch.full_like(weight, float("nan"))
        for position in range(0, weight.numel(), 5):
            bump = torch.zeros_like(weight)
            bump.view(-1)[position] = step
            up, down = ({**weights, name: weight + sign * bump} for sign in (1, -1))
            result.view(-1)[position] = (value(up) - value(down)) / (2 * step)
        derivatives[name] = result
    return derivatives


def assert_close(
    found: dict[str, Tensor], expected: dict[str, Tensor], tolerance: float = 1e-6
) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        known = ~value.isnan()
        largest = float(value[known].abs().max())
        assert largest > 0
        assert float((found[name] - value)[known].abs().max()) <= tolerance * largest


def test_snip_is_the_derivative_by_a_multiplicative_mask() -> None:
    network = tiny_network(dtype=DOUBLE)
    weights = detached(network)

    def loss(gates: dict[str, Tensor]) -> Tensor:
        return loss_of(network, {name: gates[name] * weights[name] for name in weights})

    open_gates = {name: torch.ones_like(weight) for name, weight in weights.items()}
    expected = central_difference(loss, open_gates, step=1e-5)
    scores = SNIP().score(scoring(network))
    assert_close(scores, {name: gate.abs() for name, gate in expected.items()})


def test_snip_sums_gradients_before_it_takes_absolutes() -> None:
    network = tiny_network(dtype=DOUBLE)
    whole = SNIP().score(scoring(deepcopy(network)))
    parts = []
    for batch in batches(dtype=DOUBLE):
        one = scoring(deepcopy(network))
        object.__setattr__(one, "batches", [batch])
        parts.append(SNIP().score(one))
    assert any((parts[0][n] + parts[1][n] - whole[n]).abs().max() > 1e-6 for n in whole)


@pytest.mark.parametrize("temperature", [1.0, 200.0])
def test_grasp_is_the_weight_times_the_hessian_gradient_product(temperature: float) -> None:
    network = tiny_network(dtype=DOUBLE)
    weights = detached(network)

    def gradient(at: dict[str, Tensor]) -> dict[str, Tensor]:
        leaves = {name: weight.clone().requires_grad_() for name, weight in at.items()}
        found = torch.autograd.grad(loss_of(network, leaves, temperature), list(leaves.values()))
        return dict(zip(leaves, found, strict=True))

    direction = gradient(weights)
    norm = torch.sqrt(
        sum(((g**2).sum() for g in direction.values()), torch.zeros((), dtype=DOUBLE))
    )
    step = 1e-5 / norm
    up, down = (
        gradient({name: weights[name] + sign * step * direction[name] for name in weights})
        for sign in (1, -1)
    )
    expected = {n: weights[n] * (up[n] - down[n]) / (2 * step) for n in weights}
    assert_close(GraSP(temperature=temperature).score(scoring(network)), expected, 1e-5)


def test_grasp_refuses_a_temperature_of_zero() -> None:
    with pytest.raises(ConfigError, match=r"pruner\.temperature=0"):
        GraSP(temperature=0.0).score(scoring(tiny_network()))


def test_snip_and_grasp_use_the_statistics_of_the_batch() -> None:
    network = tiny_network()
    strange = deepcopy(network)
    for module in strange.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.fill_(100.0)  # type: ignore[union-attr]
    for pruner in (SNIP(), GraSP()):
        expected = pruner.score(scoring(deepcopy(network)))
        found = pruner.score(scoring(deepcopy(strange)))
        assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_synflow_is_the_flow_through_each_weight() -> None:
    """Restated without autograd: the flow lost when one weight is cut, exact in a linear map."""
    network = tiny_network(dtype=DOUBLE)
    found = SynFlow().score(scoring(deepcopy(network)))
    positive = deepcopy(network).eval()
    positive.load_state_dict({name: tensor.abs() for name, tensor in network.state_dict().items()})
    ones = torch.ones(1, *INPUT_SHAPE, dtype=DOUBLE)

    def flow() -> float:
        with torch.no_grad():
            return float(positive(ones).sum())

    whole = flow()
    expected = {}
    for name, weight in prunable_weights(positive).items():
        lost = torch.zeros_like(weight)
        for position in range(weight.numel()):
            kept = weight.data.view(-1)[position].clone()
            weight.data.view(-1)[position] = 0.0
            lost.view(-1)[position] = whole - flow()
            weight.data.view(-1)[position] = kept
        expected[name] = lost.detach()
    assert_close(found, expected)


def test_synflow_is_conserved_from_layer_to_layer() -> None:
    """Tanaka et al. 2020, theorem 2: the scores of every layer sum to the same flow."""
    network = tiny_network()
    sums = [float(score.sum()) for score in SynFlow().score(scoring(network)).values()]
    assert sums[0] > 0
    assert sums == pytest.approx([sums[0]] * 3, rel=1e-12)


def test_synflow_takes_absolutes_of_all_state() -> None:
    network, mirrored = tiny_network(), tiny_network()
    for name, tensor in network.state_dict().items():
        if name.endswith((".running_mean", ".bias")):
            tensor.fill_(0.1)
        if not name.endswith(".num_batches_tracked"):
            mirrored.state_dict()[name].copy_(-tensor)
    expected, found = (SynFlow().score(scoring(net)) for net in (network, mirrored))
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert all(score.dtype == DOUBLE and bool((score > 0).all()) for score in found.values())


def test_synflow_never_collapses_a_layer_that_magnitudes_would_empty() -> None:
    network = tiny_network()
    prunable_weights(network)["3"].data.mul_(1e-3)
    outline = blueprint(network, INPUT_SHAPE)
    allocation = Allocation(dict.fromkeys(outline.names), pooled=8)
    kept = []
    for pruner in (SynFlow(iterations=20), Magnitude()):
        random = torch.Generator()
        mask, _ = find_mask(
            pruner, network, outline, allocation, input_shape=INPUT_SHAPE, generator=random
        )
        kept.append(masks.kept(mask))
    assert min(kept[0].values()) > 0
    assert min(kept[1].values()) == 0


@pytest.mark.parametrize("pooled", [1, 40, 170])
def test_magnitude_equals_torch_global_unstructured(pooled: int) -> None:
    network = tiny_network()
    outline = blueprint(network, INPUT_SHAPE)
    allocation = Allocation(dict.fromkeys(outline.names), pooled=pooled)
    ours, _ = select(magnitudes(prunable_weights(network)), allocation, masks.full(outline))
    modules = {name: network.get_submodule(name) for name in outline.names}
    global_unstructured(
        [(module, "weight") for module in modules.values()],
        pruning_method=L1Unstructured,
        amount=outline.total - pooled,
    )
    for name, module in modules.items():
        assert torch.equal(ours[name], cast(Tensor, module.weight_mask).bool())


def test_random_positions_are_uniform() -> None:
    network = tiny_network()
    outline = blueprint(network, INPUT_SHAPE)
    name, total = outline.layers[0].name, outline.layers[0].total
    allocation = Allocation({layer.name: layer.total // 4 for layer in outline.layers})
    full, draws = masks.full(outline), 400
    seen = torch.zeros(total)
    for seed in range(draws):
        mask, _ = select(Random().score(scoring(network, seed=seed)), allocation, full)
        seen += mask[name].flatten()
    assert float(seen.sum()) == draws * (total // 4)
    spread = (draws * 0.25 * 0.75) ** 0.5
    assert float((seen - draws / 4).abs().max()) < 4.5 * spread
