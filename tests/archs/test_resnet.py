from functools import partial

import pytest
import torch
from torch import nn

from sanity.archs.resnet import ResNet
from sanity.core.errors import ConfigError
from sanity.core.streams import generator
from sanity.networks.blueprint import blueprint
from sanity.networks.build import build, skeleton


@pytest.mark.parametrize(
    ("depth", "num_classes", "prunable", "layers"),
    [
        (20, 10, 1_081_440, 22),
        (32, 10, 1_855_584, 34),
        (32, 100, 1_867_104, 34),
        (44, 10, 2_629_728, 46),
    ],
)
def test_prunable_weights_are_those_of_the_paper(
    depth: int, num_classes: int, prunable: int, layers: int
) -> None:
    outline = blueprint(skeleton(partial(ResNet, depth, num_classes)))
    assert (outline.total, len(outline.layers)) == (prunable, layers)
    assert outline.shortcuts


def test_a_shortcut_stands_after_the_convolutions_of_its_block() -> None:
    names = list(blueprint(skeleton(partial(ResNet, 8, 10))).names)
    assert names == [
        "conv1",
        "layer1.0.conv1",
        "layer1.0.conv2",
        "layer2.0.conv1",
        "layer2.0.conv2",
        "layer2.0.downsample.0",
        "layer3.0.conv1",
        "layer3.0.conv2",
        "layer3.0.downsample.0",
        "fc",
    ]


def test_bottleneck_has_three_convolutions_a_block_and_four_times_the_outputs() -> None:
    network = skeleton(partial(ResNet, 20, 10, block="bottleneck"))
    shapes = {layer.name: layer.shape for layer in blueprint(network).layers}
    assert shapes["layer1.0.downsample.0"] == (128, 32, 1, 1)
    assert [shapes[f"layer2.1.conv{k}"] for k in (1, 2, 3)] == [
        (64, 256, 1, 1),
        (64, 64, 3, 3),
        (256, 64, 1, 1),
    ]
    assert shapes["fc"] == (10, 512)
    names = list(shapes)
    assert names.index("layer1.0.downsample.0") == names.index("layer1.0.conv3") + 1


def test_checkpoint_names_are_those_of_the_original_networks() -> None:
    keys = set(skeleton(partial(ResNet, 8, 10)).state_dict())
    batch_norm = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    assert {f"layer2.0.downsample.1.{name}" for name in batch_norm} <= keys
    assert {f"bn1.{name}" for name in batch_norm} <= keys
    assert {"conv1.weight", "layer1.0.conv2.weight", "fc.weight", "fc.bias"} <= keys
    assert "conv1.bias" not in keys


@pytest.mark.parametrize("block", ["basic", "bottleneck"])
@pytest.mark.parametrize(("channels", "size"), [(1, 8), (3, 32)])
def test_forward_gives_a_logit_a_class(block: str, channels: int, size: int) -> None:
    factory = partial(ResNet, 8, 7, channels, size, widths=(4, 8, 16), block=block)
    network = build(factory, generator(0, "init"))
    logits = network(torch.randn(2, channels, size, size))
    assert logits.shape == (2, 7)
    assert logits.isfinite().all()
    assert network.input_shape == (channels, size, size)


@pytest.mark.parametrize("block", ["basic", "bottleneck"])
def test_stages_halve_the_image_and_a_block_adds_its_shortcut(block: str) -> None:
    factory = partial(ResNet, 14, 5, image_size=16, widths=(4, 8, 16), block=block)
    network = build(factory, generator(0, "init")).eval()
    sizes = []
    for stage in (network.layer1, network.layer2, network.layer3):
        assert isinstance(stage, nn.Module)
        stage.register_forward_hook(lambda module, inputs, out: sizes.append(out.shape[-1]))
    network(torch.randn(1, 3, 16, 16))
    assert sizes == [16, 8, 4]
    assert isinstance(network.layer1, nn.Sequential)
    second = network.layer1[1]
    with torch.no_grad():  # without its last convolution, a block passes on its own input
        last = getattr(second, "conv2" if block == "basic" else "conv3")
        last.weight.zero_()
        x = torch.rand(1, last.weight.shape[0], 4, 4)
        torch.testing.assert_close(second(x), x)


def test_initial_weights_have_the_fan_out_scale() -> None:
    weights = build(partial(ResNet, 20, 10), generator(0, "init")).state_dict()
    for name, fan_out in [
        ("layer3.0.conv1.weight", 9 * 128),
        ("layer3.1.conv2.weight", 9 * 128),
        ("layer3.0.downsample.0.weight", 128),
        ("layer2.0.conv1.weight", 9 * 64),
    ]:
        assert weights[name].std() == pytest.approx((2 / fan_out) ** 0.5, rel=0.05)
        assert abs(weights[name].mean()) < 0.05 * weights[name].std()
    assert weights["fc.weight"].std() == pytest.approx(0.01, rel=0.1)
    assert not weights["fc.bias"].any()


@pytest.mark.parametrize("depth", [2, 7, 18, 54, 0, -4])
def test_refuses_a_depth_that_is_not_6n_plus_2(depth: int) -> None:
    with pytest.raises(ConfigError, match=rf"arch\.depth={depth} is no ResNet: choose 6n\+2"):
        ResNet(depth, 10)


def test_refuses_unknown_blocks_and_widths() -> None:
    with pytest.raises(ConfigError, match=r"arch\.block=wide is unknown: choose basic or bottle"):
        ResNet(8, 10, block="wide")
    with pytest.raises(ConfigError, match=r"arch\.widths=\[16, 32\]: give three"):
        ResNet(8, 10, widths=(16, 32))
