from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest
import torch

from sanity.archs.mlp import MLP
from sanity.core.errors import ConfigError
from sanity.core.streams import generator
from sanity.networks.blueprint import blueprint
from sanity.networks.build import build, skeleton


def test_lenet_300_100_has_the_266200_weights_of_the_literature() -> None:
    network = skeleton(partial(MLP, 10, 1, 28, (300, 100)))
    outline = blueprint(network)
    assert outline.total == 266_200
    assert sum(one.numel() for one in network.parameters()) == 266_200 + 300 + 100 + 10
    assert [layer.shape for layer in outline.layers] == [(300, 784), (100, 300), (10, 100)]
    assert list(outline.names) == ["hidden.0", "hidden.2", "classifier"]
    assert not outline.shortcuts


@pytest.mark.parametrize("hidden", [(5,), (6, 3), (4, 7, 2)])
@pytest.mark.parametrize(("channels", "size"), [(1, 8), (3, 5)])
def test_forward_equals_its_equations(hidden: Sequence[int], channels: int, size: int) -> None:
    random = generator(0, "init")
    network = build(partial(MLP, 7, channels, size, hidden), random).double()
    parameters = list(network.parameters())
    images = torch.randn(3, channels, size, size, dtype=torch.float64, generator=random)
    with torch.no_grad():
        for parameter in parameters:
            parameter.add_(torch.randn(parameter.shape, generator=random), alpha=0.3)
        x = images.view(3, -1)
        for weight, bias in zip(parameters[:-2:2], parameters[1:-2:2], strict=True):
            x = (x @ weight.T + bias).clamp(min=0)
        torch.testing.assert_close(network(images), x @ parameters[-2].T + parameters[-1])
    assert network.input_shape == (channels, size, size)


def test_initial_weights_have_the_fan_in_scale_but_for_the_last() -> None:
    weights = build(partial(MLP, 100, 1, 28, (300, 100)), generator(0, "init")).state_dict()
    for name, fan_in in [("hidden.0", 784), ("hidden.2", 300)]:
        assert weights[f"{name}.weight"].std() == pytest.approx((2 / fan_in) ** 0.5, rel=0.02)
        assert not weights[f"{name}.bias"].any()
    assert weights["classifier.weight"].std() == pytest.approx(0.01, rel=0.02)


@pytest.mark.parametrize(
    ("hidden", "shown"),
    [
        ((), r"\[\]"),
        ((300, 0), r"\[300, 0\]"),
        ([2.5], r"\[2\.5\]"),
        ((65537,), r"\[65537\]"),
        (300, "300"),
    ],
)
def test_refuses_impossible_widths(hidden: Any, shown: str) -> None:
    with pytest.raises(ConfigError, match=rf"^arch\.hidden={shown}: give positive widths, one"):
        MLP(10, hidden=hidden)
