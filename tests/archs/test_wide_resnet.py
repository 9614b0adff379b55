from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sanity.archs.wide_resnet import WideResNet
from sanity.core.errors import ConfigError
from sanity.core.streams import generator
from sanity.networks.blueprint import blueprint
from sanity.networks.build import build, skeleton


def parameters(depth: int, k: int, classes: int) -> tuple[int, int]:
    """Weights and all parameters, by the paper's table 1 and its rule for shortcuts."""
    n, inputs, weights, norms = (depth - 4) // 6, 16, 9 * 3 * 16, 0
    for width in (16 * k, 32 * k, 64 * k):
        weights += 9 * inputs * width + (2 * n - 1) * 9 * width**2
        weights += inputs * width if inputs != width else 0
        norms += 2 * inputs + (2 * n - 1) * 2 * width
        inputs = width
    weights += inputs * classes
    return weights, weights + norms + 2 * inputs + classes


@pytest.mark.parametrize(
    ("depth", "k", "millions"),
    [
        *((40, 1, 0.6), (40, 2, 2.2), (40, 4, 8.9), (40, 8, 35.7)),
        *((28, 10, 36.5), (28, 12, 52.5), (22, 8, 17.2), (22, 10, 26.8)),
        *((16, 8, 11.0), (16, 10, 17.1)),
    ],
)
def test_parameters_are_those_of_the_papers_table_4(depth: int, k: int, millions: float) -> None:
    network = skeleton(partial(WideResNet, depth, k, 10))
    outline = blueprint(network)
    found = sum(one.numel() for one in network.parameters())
    assert (outline.total, found) == parameters(depth, k, 10)
    assert round(found / 1e6, 1) == millions
    shortcuts = 2 if k == 1 else 3
    assert len(outline.layers) == depth - 2 + shortcuts
    assert outline.shortcuts


def test_counts_of_the_options() -> None:
    assert parameters(22, 2, 10) == (1_076_912, 1_079_642)
    assert parameters(28, 10, 10) == (36_461_232, 36_479_194)


def test_a_shortcut_stands_after_the_convolutions_of_its_block() -> None:
    names = list(blueprint(skeleton(partial(WideResNet, 10, 2, 10))).names)
    blocks = [f"layer{s}.0.{part}" for s in (1, 2, 3) for part in ("conv1", "conv2", "downsample")]
    assert names == ["conv1", *blocks, "fc"]


def restated(state: dict[str, Tensor], n: int, x: Tensor) -> Tensor:
    """The forward pass by its equations, in evaluation mode."""

    def active(name: str, x: Tensor) -> Tensor:
        weight, bias, mean, variance = (
            state[f"{name}.{part}"].view(1, -1, 1, 1)
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        return ((x - mean) / (variance + 1e-5).sqrt() * weight + bias).clamp(min=0)

    x = F.conv2d(x, state["conv1.weight"], padding=1)
    for stage in (1, 2, 3):
        for block in range(n):
            name, stride = f"layer{stage}.{block}", 2 if stage > 1 and block == 0 else 1
            before, out = x, active(f"{name}.bn1", x)
            if f"{name}.downsample.weight" in state:
                before = F.conv2d(out, state[f"{name}.downsample.weight"], stride=stride)
            out = F.conv2d(out, state[f"{name}.conv1.weight"], stride=stride, padding=1)
            out = active(f"{name}.bn2", out)
            x = F.conv2d(out, state[f"{name}.conv2.weight"], padding=1) + before
    pooled = active("bn1", x).mean((2, 3))
    return pooled @ state["fc.weight"].T + state["fc.bias"]


@pytest.mark.parametrize(("depth", "k"), [(10, 1), (16, 2)])
@pytest.mark.parametrize(("channels", "size"), [(1, 8), (3, 13)])
def test_forward_equals_its_equations(depth: int, k: int, channels: int, size: int) -> None:
    random = generator(0, "init")
    network = build(partial(WideResNet, depth, k, 7, channels, size), random).double().eval()
    for tensor in network.state_dict().values():
        if tensor.ndim == 1:  # norms and the bias: as if they had learned
            tensor.copy_(torch.rand(tensor.shape, generator=random) + 0.5)
    images = torch.randn(2, channels, size, size, dtype=torch.float64, generator=random)
    with torch.no_grad():
        found = network(images)
        expected = restated(network.state_dict(), (depth - 4) // 6, images)
    torch.testing.assert_close(found, expected)


def test_stages_halve_the_image_and_a_block_adds_its_input() -> None:
    network = build(partial(WideResNet, 16, 1, 5), generator(0, "init")).eval()
    sizes = []
    for number in (1, 2, 3):
        stage = network.get_submodule(f"layer{number}")
        stage.register_forward_hook(lambda module, inputs, out: sizes.append(out.shape[-1]))
    network(torch.randn(1, 3, 32, 32))
    assert sizes == [32, 16, 8]
    block = network.get_submodule("layer2.1")
    assert isinstance(block.conv2, nn.Conv2d)
    with torch.no_grad():  # without its last convolution, a block passes on its own input
        block.conv2.weight.zero_()
        x = torch.randn(1, 32, 4, 4)  # negative values too: no ReLU after the sum
        torch.testing.assert_close(block(x), x)


def test_initial_weights_have_the_fan_out_scale() -> None:
    weights = build(partial(WideResNet, 10, 4, 100), generator(0, "init")).state_dict()
    for name, fan_out in [("layer3.0.conv1", 9 * 256), ("layer3.0.downsample", 256)]:
        assert weights[f"{name}.weight"].std() == pytest.approx((2 / fan_out) ** 0.5, rel=0.02)
    assert weights["fc.weight"].std() == pytest.approx(0.01, rel=0.02)


@pytest.mark.parametrize("depth", [4, 8, 27, -2, 1006])
def test_refuses_a_depth_that_is_not_6n_plus_4(depth: int) -> None:
    with pytest.raises(ConfigError, match=rf"^arch\.depth={depth} is no wide ResNet: choose 6n\+4"):
        WideResNet(depth, 2, 10)


@pytest.mark.parametrize("width", [0, -1, 1025])
def test_refuses_impossible_widths(width: int) -> None:
    with pytest.raises(ConfigError, match=rf"^arch\.width={width} is not possible: choose 1 to"):
        WideResNet(22, width, 10)
