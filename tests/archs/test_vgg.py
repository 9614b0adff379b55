from functools import partial

import pytest
import torch
from torch import nn

from sanity.archs.vgg import VGG
from sanity.core.errors import ConfigError
from sanity.core.streams import generator
from sanity.networks.blueprint import blueprint
from sanity.networks.build import build, skeleton


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize(
    ("depth", "num_classes", "prunable", "layers"),
    [
        (11, 10, 9_222_848, 9),
        (13, 10, 9_407_168, 11),
        (16, 10, 14_715_584, 14),
        (19, 10, 20_024_000, 17),
        (19, 100, 20_070_080, 17),
    ],
)
def test_prunable_weights_are_those_of_the_paper(
    depth: int, num_classes: int, prunable: int, layers: int, batch_norm: bool
) -> None:
    outline = blueprint(skeleton(partial(VGG, depth, batch_norm, num_classes)))
    assert (outline.total, len(outline.layers)) == (prunable, layers)
    assert not outline.shortcuts


@pytest.mark.parametrize(
    ("batch_norm", "positions"),
    [(False, [0, 3, 6, 8, 11, 13, 16, 18]), (True, [0, 4, 8, 11, 15, 18, 22, 25])],
)
def test_convolutions_stand_where_checkpoints_expect_them(
    batch_norm: bool, positions: list[int]
) -> None:
    outline = blueprint(skeleton(partial(VGG, 11, batch_norm, 10)))
    assert list(outline.names) == [*(f"features.{k}" for k in positions), "classifier"]


@pytest.mark.parametrize("batch_norm", [False, True])
def test_convolutions_have_biases_and_four_pools_divide_them(batch_norm: bool) -> None:
    network = skeleton(partial(VGG, 19, batch_norm, 10))
    modules = list(network.modules())
    assert all(m.bias is not None for m in modules if isinstance(m, nn.Conv2d))
    assert sum(isinstance(m, nn.MaxPool2d) for m in modules) == 4
    assert sum(isinstance(m, nn.BatchNorm2d) for m in modules) == 16 * batch_norm


@pytest.mark.parametrize("size", [16, 32, 64])
def test_final_pooling_averages_whatever_is_left_of_the_image(size: int) -> None:
    network = build(partial(VGG, 11, False, 6, 1, size), generator(0, "init")).eval()
    assert isinstance(network.features, nn.Module)
    assert isinstance(network.classifier, nn.Linear)
    images = torch.randn(2, 1, size, size)
    with torch.no_grad():
        logits, features = network(images), network.features(images)
        assert features.shape == (2, 512, size // 16, size // 16)
        pooled = nn.functional.avg_pool2d(features, size // 16).flatten(1)
        torch.testing.assert_close(logits, network.classifier(pooled))
    assert network.input_shape == (1, size, size)


def test_initial_weights_have_the_fan_in_scale() -> None:
    weights = build(partial(VGG, 11, True, 100), generator(0, "init")).state_dict()
    for position, fan_in in [(4, 9 * 64), (8, 9 * 128), (15, 9 * 256), (25, 9 * 512)]:
        weight = weights[f"features.{position}.weight"]
        assert weight.std() == pytest.approx((2 / fan_in) ** 0.5, rel=0.03)
        assert not weights[f"features.{position}.bias"].any()
    assert weights["classifier.weight"].std() == pytest.approx(0.01, rel=0.03)


def test_refuses_unknown_depths() -> None:
    with pytest.raises(ConfigError, match=r"arch\.depth=12 is no VGG: choose one of 11, 13, 16, 1"):
        VGG(12, False, 10)


@pytest.mark.parametrize(("batch_norm", "name"), [(True, "vgg16_bn"), (False, "vgg16")])
def test_refuses_images_the_pools_would_reduce_to_nothing(batch_norm: bool, name: str) -> None:
    with pytest.raises(ConfigError, match=rf"arch={name} needs dataset\.image_size .* 16, not 15"):
        VGG(16, batch_norm, 10, image_size=15)
