from functools import partial

import pytest
import torch
from torch import nn

from sanity.archs.lenet5 import LeNet5
from sanity.core.errors import ConfigError
from sanity.core.streams import generator
from sanity.networks.blueprint import blueprint
from sanity.networks.build import build, skeleton


def test_weights_are_the_430500_of_the_literature() -> None:
    network = skeleton(partial(LeNet5, 10, 1, 28))
    outline = blueprint(network)
    assert [layer.total for layer in outline.layers] == [500, 25_000, 400_000, 5_000]
    assert outline.total == 430_500
    assert sum(one.numel() for one in network.parameters()) == 431_080
    assert list(outline.names) == ["conv1", "conv2", "fc1", "fc2"]
    assert not outline.shortcuts


@pytest.mark.parametrize(("channels", "size", "left"), [(1, 28, 4), (3, 32, 5), (1, 16, 1)])
def test_forward_equals_caffes_layers(channels: int, size: int, left: int) -> None:
    theirs = nn.Sequential(
        nn.Conv2d(channels, 20, 5),
        nn.MaxPool2d(2, 2),
        nn.Conv2d(20, 50, 5),
        nn.MaxPool2d(2, 2),
        nn.Flatten(),
        nn.Linear(50 * left * left, 500),
        nn.ReLU(),
        nn.Linear(500, 7),
    ).double()
    ours = build(partial(LeNet5, 7, channels, size), generator(0, "init")).double()
    ours.load_state_dict(dict(zip(ours.state_dict(), theirs.state_dict().values(), strict=True)))
    images = torch.randn(2, channels, size, size, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(ours(images), theirs(images))
    assert ours.input_shape == (channels, size, size)


def test_initial_weights_have_the_fan_in_scale_but_for_the_last() -> None:
    weights = build(partial(LeNet5, 10, 1, 28), generator(0, "init")).state_dict()
    for name, fan_in in [("conv2", 500), ("fc1", 800)]:
        assert weights[f"{name}.weight"].std() == pytest.approx((2 / fan_in) ** 0.5, rel=0.03)
    assert weights["fc2.weight"].std() == pytest.approx(0.01, rel=0.05)


@pytest.mark.parametrize("size", [1, 8, 15])
def test_refuses_images_of_which_nothing_would_be_left(size: int) -> None:
    with pytest.raises(
        ConfigError, match=rf"^arch=lenet5 needs dataset\.image_size of at least 16, not {size}: "
    ):
        LeNet5(10, image_size=size)
