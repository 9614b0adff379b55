"""Convolutions at kept weights are those of float64, in groups and rounds of any kind."""

from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

pytest.importorskip("numba")

from sanity.training.engines.compiled import cpu
from sanity.training.engines.program import Convolution, Value
from sanity.training.engines.sparse import convolution, taps
from sanity.training.engines.sparse.lanes import Activation, Form
from sanity.training.engines.sparse.parameters import Kept

LANES, BLOCKS, BEFORE = cpu().lanes, 2, 5  # parameters that come before the layer's
BOUND = 1e-6


class Case(NamedTuple):
    density: float
    inputs: int = 12
    outputs: int = 8
    side: int = 8
    kernel: int = 3
    stride: int = 1
    padding: int = 1


CASES = [
    Case(1.0),
    Case(1.0, inputs=3, outputs=6),  # outputs that make no groups of four
    Case(1.0, inputs=40, side=16),
    Case(0.85),
    Case(0.85, stride=2),
    Case(0.5, inputs=64, side=16),
    Case(0.3, side=7, stride=2),
    Case(0.3, side=5, kernel=5, padding=2),
    Case(1.0, kernel=1, padding=0, stride=2),
    Case(0.9, side=6, kernel=3, padding=0),
    Case(0.5, side=1, kernel=1, padding=0),
    Case(0.01),
    Case(0.0),
]


class Layer:
    """A convolution with its weights, inputs, and gradients of its outputs, in both forms."""

    def __init__(self, case: Case) -> None:
        random = torch.Generator().manual_seed(1)
        shape = (case.outputs, case.inputs, case.kernel, case.kernel)
        self.mask = torch.rand(shape, generator=random) < case.density
        self.weight = torch.randn(shape, generator=random) * self.mask
        side = (case.side + 2 * case.padding - case.kernel) // case.stride + 1
        x, y = Value(0, case.inputs, case.side, case.side), Value(1, case.outputs, side, side)
        kernel = case.kernel, case.kernel
        self.operation = Convolution("layer", x, y, kernel, case.stride, case.padding, True)
        self.bias = torch.randn(case.outputs, generator=random)
        self.kept = Kept(BEFORE, np.unravel_index(np.flatnonzero(self.mask), shape))
        # A zero behind the last one, for what has no place.
        self.theta = np.zeros(BEFORE + self.kept.count + 1, np.float32)
        self.theta[BEFORE:-1] = self.weight[self.mask]
        self.x, self.g = (
            torch.randn(BLOCKS * LANES, one.channels, one.height, one.width, generator=random)
            for one in (x, y)
        )

    def values(self, known: taps.Taps) -> Any:
        return self.theta[known.places.reshape(-1)]


def laid_out(images: Tensor, halo: int) -> Activation:
    _, channels, height, width = images.shape
    found = Activation(Form(channels, height, width, halo), BLOCKS, LANES)
    found.tensor().copy_(images.view(BLOCKS, LANES, channels, height, width).movedim(1, -1))
    return found


def images(activation: Activation) -> Tensor:
    return activation.tensor().movedim(-1, 1).flatten(0, 1)


def close(found: Tensor, expected: Tensor) -> bool:
    assert found.shape == expected.shape
    return float((found - expected).norm()) <= BOUND * float(expected.norm())


def expected(layer: Layer, case: Case) -> tuple[Tensor, Tensor, Tensor]:
    """y, dx and dw in float64."""
    x, weight = (one.double().requires_grad_() for one in (layer.x, layer.weight))
    y = F.conv2d(x, weight, layer.bias.double(), case.stride, case.padding)
    dx, dw = torch.autograd.grad(y, [x, weight], layer.g.double())
    return y.detach(), dx, dw * layer.mask


@pytest.mark.parametrize("case", CASES, ids=str)
def test_outputs(case: Case) -> None:
    layer = Layer(case)
    x = laid_out(layer.x, case.padding)
    known = taps.forward(layer.operation, layer.kept, x.form)
    y = laid_out(torch.full_like(layer.g, torch.nan), 0)
    for adds in (False, True):
        convolution.convolve(
            x.every(case.stride), y.memory, tuple(layer.g.shape[1:]), (0, BLOCKS),
            (known.segments, known.rounds, known.offsets, layer.values(known)),
            layer.bias.numpy(), adds, known.tiles(inner=case.stride),
        )  # fmt: skip
        if not adds:
            assert close(images(y), expected(layer, case)[0])
    twice = 2 * expected(layer, case)[0] - layer.bias.double()[:, None, None]
    assert close(images(y), twice)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_gradients_of_inputs(case: Case) -> None:
    layer = Layer(case)
    g = laid_out(layer.g, case.kernel - 1 - case.padding)
    dx = laid_out(torch.full_like(layer.x, torch.nan), 0)
    for phase in taps.backward(layer.operation, layer.kept, g.form):
        known = phase.taps
        convolution.convolve(
            g.memory, dx.every(case.stride, phase.down, phase.right),
            (case.inputs, phase.height, phase.width), (0, BLOCKS),
            (known.segments, known.rounds, known.offsets, layer.values(known)),
            np.zeros(case.inputs, np.float32), False, known.tiles(outer=case.stride),
        )  # fmt: skip
    assert close(images(dx), expected(layer, case)[1])


@pytest.mark.parametrize("case", CASES, ids=str)
def test_gradients_of_weights(case: Case) -> None:
    layer = Layer(case)
    x, g = laid_out(layer.x, case.padding), laid_out(layer.g, 0)
    known = taps.forward(layer.operation, layer.kept, x.form)
    found = np.zeros((BLOCKS, BEFORE + layer.kept.count), np.float32)
    convolution.weight_gradient(
        x.every(case.stride), g.memory, tuple(layer.g.shape[1:]), (0, BLOCKS),
        (known.segments, known.rounds, known.offsets, known.places.reshape(-1)),
        np.full(known.longest * LANES, np.nan, np.float32), found,
        known.tiles(inner=case.stride),
    )  # fmt: skip
    dw = torch.zeros(layer.weight.shape, dtype=torch.float64)
    dw[layer.mask] = torch.from_numpy(found.sum(0)[BEFORE:]).double()
    assert close(dw, expected(layer, case)[2])
    assert not found[:, :BEFORE].any()


def test_nearly_dense_outputs_are_grouped_and_taps_come_in_rounds() -> None:
    def known(case: Case) -> taps.Taps:
        layer = Layer(case)
        return taps.forward(layer.operation, layer.kept, laid_out(layer.x, case.padding).form)

    assert known(Case(1.0)).group == known(Case(0.85)).group == cpu().group
    assert known(Case(0.3)).group == known(Case(1.0, outputs=cpu().group + 1)).group == 1
    many = known(Case(0.5, inputs=64, side=16))
    assert len(many.rounds) > 2
    # Whoever adds to an output first begins with its bias: each has one such segment.
    fresh = many.segments[many.segments[:, 3] == 1]
    assert sorted(fresh[:, 0]) == list(range(8))
    assert len(many) == (many.segments[:, 2] - many.segments[:, 1]).sum()
    assert sorted(many.places.reshape(-1)) == list(range(BEFORE, BEFORE + len(many)))
