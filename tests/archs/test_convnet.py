from functools import partial
from itertools import pairwise

import pytest
import torch
from torch import nn

from sanity.archs.convnet import ConvNet
from sanity.core.errors import ConfigError
from sanity.core.streams import generator
from sanity.networks.blueprint import blueprint
from sanity.networks.build import build, skeleton


@pytest.mark.parametrize(
    ("depth", "total", "in_convolutions", "figure"),
    [
        (2, 4_300_992, 38_592, ("4.3M", "39K")),  # the figure cuts it to 38K
        (4, 2_425_024, 259_776, ("2.4M", "260K")),
        (6, 2_261_184, 1_144_512, ("2.3M", "1.1M")),  # the figure says 1.7M of all weights
    ],
)
def test_weights_are_those_of_the_layers_in_the_papers_figure_2(
    depth: int, total: int, in_convolutions: int, figure: tuple[str, str]
) -> None:
    outline = blueprint(skeleton(partial(ConvNet, depth, 10)))
    convolutions, widths = 0, [3, 64, 64, 128, 128, 256, 256][: depth + 1]
    for inputs, outputs in pairwise(widths):
        convolutions += 9 * inputs * outputs
    pixels = {2: 16, 4: 8, 6: 4}[depth] ** 2
    assert outline.total == total == convolutions + (widths[-1] * pixels + 256 + 10) * 256
    assert sum(layer.total for layer in outline.of_kind("conv")) == in_convolutions == convolutions
    rounded = [f"{n / 1e6:.1f}M" if n > 1e6 else f"{n / 1e3:.0f}K" for n in (total, convolutions)]
    assert tuple(rounded) == figure
    assert not outline.shortcuts


@pytest.mark.parametrize(
    ("depth", "positions"), [(2, [0, 2]), (4, [0, 2, 5, 7]), (6, [0, 2, 5, 7, 10, 12])]
)
def test_three_linear_layers_follow_the_convolutions(depth: int, positions: list[int]) -> None:
    names = list(blueprint(skeleton(partial(ConvNet, depth, 10))).names)
    assert names == [*(f"features.{k}" for k in positions), "hidden.0", "hidden.2", "classifier"]


@pytest.mark.parametrize("depth", [2, 4, 6])
@pytest.mark.parametrize(("channels", "size"), [(1, 8), (1, 28), (3, 11)])
def test_forward_equals_its_layers(depth: int, channels: int, size: int) -> None:
    layers: list[nn.Module] = []
    inputs, left = channels, size
    for width in (64, 128, 256)[: depth // 2]:
        layers += [nn.Conv2d(inputs, width, 3, 1, 1), nn.ReLU()]
        layers += [nn.Conv2d(width, width, 3, 1, 1), nn.ReLU(), nn.MaxPool2d(2, 2)]
        inputs, left = width, left // 2
    layers += [nn.Flatten(), nn.Linear(inputs * left**2, 256), nn.ReLU()]
    theirs = nn.Sequential(*layers, nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 7)).double()
    ours = build(partial(ConvNet, depth, 7, channels, size), generator(0, "init")).double()
    ours.load_state_dict(dict(zip(ours.state_dict(), theirs.state_dict().values(), strict=True)))
    images = torch.randn(2, channels, size, size, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(ours(images), theirs(images))
    assert ours.input_shape == (channels, size, size)


def test_initial_weights_have_the_fan_in_scale_but_for_the_last() -> None:
    weights = build(partial(ConvNet, 4, 100), generator(0, "init")).state_dict()
    for name, fan_in in [("features.7", 9 * 128), ("hidden.0", 8192), ("hidden.2", 256)]:
        assert weights[f"{name}.weight"].std() == pytest.approx((2 / fan_in) ** 0.5, rel=0.02)
        assert not weights[f"{name}.bias"].any()
    assert weights["classifier.weight"].std() == pytest.approx(0.01, rel=0.02)


@pytest.mark.parametrize("depth", [0, 3, 8])
def test_refuses_unknown_depths(depth: int) -> None:
    with pytest.raises(ConfigError, match=rf"^arch\.depth={depth} is no ConvNet: choose one of 2"):
        ConvNet(depth, 10)


@pytest.mark.parametrize(("depth", "smallest"), [(2, 2), (4, 4), (6, 8)])
def test_refuses_images_the_pools_would_reduce_to_nothing(depth: int, smallest: int) -> None:
    ConvNet(depth, 10, 1, smallest)
    size = smallest - 1
    message = rf"^arch=conv{depth} needs dataset\.image_size of at least {smallest}, not {size}: "
    with pytest.raises(ConfigError, match=message):
        ConvNet(depth, 10, 1, size)
