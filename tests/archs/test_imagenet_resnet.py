from functools import partial

import pytest
import torch
import torchvision
from torch import nn

from sanity.archs.imagenet_resnet import BLOCKS, ImageNetResNet
from sanity.core.errors import ConfigError
from sanity.core.streams import generator
from sanity.networks.blueprint import blueprint
from sanity.networks.build import build, skeleton

PUBLISHED = {
    18: 11_689_512,
    34: 21_797_672,
    50: 25_557_032,
    101: 44_549_160,
    152: 60_192_808,
}
"""Parameters for ImageNet's 1,000 classes, as torchvision's documentation has them."""


def original(depth: int, num_classes: int = 10) -> nn.Module:
    """Torchvision's network, with statistics of norms that are not those of the beginning."""
    network: nn.Module = getattr(torchvision.models, f"resnet{depth}")(num_classes=num_classes)
    random = torch.Generator().manual_seed(depth)
    for name, tensor in network.state_dict().items():
        if name.endswith(("running_mean", "running_var")):
            tensor.copy_(torch.rand(tensor.shape, generator=random) + 0.5)
    return network.double().eval()


@pytest.mark.parametrize("depth", BLOCKS)
def test_names_and_shapes_are_torchvisions_in_its_order(depth: int) -> None:
    ours = skeleton(partial(ImageNetResNet, depth, 1000, stem="imagenet"))
    theirs = skeleton(getattr(torchvision.models, f"resnet{depth}"))
    states = [
        [(name, one.shape) for name, one in net.state_dict().items()] for net in (ours, theirs)
    ]
    assert states[0] == states[1]
    assert blueprint(ours).names == blueprint(theirs, (3, 32, 32)).names
    assert sum(one.numel() for one in ours.parameters()) == PUBLISHED[depth]


@pytest.mark.parametrize("depth", [18, 50])
@pytest.mark.parametrize("size", [33, 64])
def test_outputs_are_torchvisions_with_its_stem(depth: int, size: int) -> None:
    theirs = original(depth)
    ours = build(partial(ImageNetResNet, depth, 10, 3, size, "imagenet"), generator(0, "init"))
    ours.load_state_dict(theirs.state_dict(), strict=True)
    images = torch.randn(2, 3, size, size, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(ours.double().eval()(images), theirs(images))


def test_the_stem_for_small_images_is_the_only_other_thing() -> None:
    theirs = original(18)
    theirs.conv1 = nn.Conv2d(1, 64, 3, padding=1, bias=False).double()
    theirs.maxpool = nn.Identity()
    ours = build(partial(ImageNetResNet, 18, 10, 1, 16), generator(0, "init"))
    ours.load_state_dict(theirs.state_dict(), strict=True)
    images = torch.randn(2, 1, 16, 16, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(ours.double().eval()(images), theirs(images))


@pytest.mark.parametrize(
    ("depth", "parameters", "prunable", "layers"),
    [(18, 11_173_962, 11_164_352, 21), (50, 23_520_842, 23_467_712, 54)],
)
def test_counts_for_cifar10(depth: int, parameters: int, prunable: int, layers: int) -> None:
    """ResNet-18 has the 11.17 million that papers on CIFAR-10 name."""
    network = skeleton(partial(ImageNetResNet, depth, 10))
    outline = blueprint(network)
    assert sum(one.numel() for one in network.parameters()) == parameters
    assert (outline.total, len(outline.layers)) == (prunable, layers)
    assert outline.shortcuts


@pytest.mark.parametrize(
    ("stem", "expected"), [("cifar", [32, 16, 8, 4]), ("imagenet", [8, 4, 2, 1])]
)
def test_stages_halve_what_the_stem_leaves(stem: str, expected: list[int]) -> None:
    network = build(partial(ImageNetResNet, 18, 7, stem=stem), generator(0, "init")).eval()
    sizes = []
    for number in range(1, 5):
        stage = network.get_submodule(f"layer{number}")
        stage.register_forward_hook(lambda module, inputs, out: sizes.append(out.shape[-1]))
    assert network(torch.randn(1, 3, 32, 32)).shape == (1, 7)
    assert sizes == expected


def test_initial_weights_have_the_fan_out_scale() -> None:
    weights = build(partial(ImageNetResNet, 18, 10), generator(0, "init")).state_dict()
    for name, fan_out in [("layer4.0.conv1", 9 * 512), ("layer3.0.downsample.0", 256)]:
        assert weights[f"{name}.weight"].std() == pytest.approx((2 / fan_out) ** 0.5, rel=0.02)
    assert weights["fc.weight"].std() == pytest.approx(0.01, rel=0.05)


@pytest.mark.parametrize("depth", [8, 20, 0, 200])
def test_refuses_unknown_depths(depth: int) -> None:
    message = rf"^arch\.depth={depth} is no ResNet for ImageNet: choose one of 18, 34, 50, 101"
    with pytest.raises(ConfigError, match=message):
        ImageNetResNet(depth, 10)


def test_refuses_unknown_stems() -> None:
    with pytest.raises(ConfigError, match=r"^arch\.stem=tiny is unknown: choose cifar or i"):
        ImageNetResNet(18, 10, stem="tiny")
