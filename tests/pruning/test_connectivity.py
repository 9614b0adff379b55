"""A dead network is known before it is trained."""

from functools import partial

import pytest

from sanity.archs.resnet import ResNet
from sanity.archs.vgg import VGG
from sanity.networks.blueprint import blueprint
from sanity.networks.build import skeleton
from sanity.pruning import masks
from sanity.pruning.connectivity import is_dead

RESNET = partial(ResNet, depth=110, num_classes=10, widths=(4, 4, 8))
VGG11 = partial(VGG, depth=11, batch_norm=True, num_classes=10)


@pytest.mark.parametrize(
    ("factory", "emptied", "dead"),
    [
        (RESNET, [], False),
        (RESNET, ["conv1"], True),
        (RESNET, ["fc"], True),
        (RESNET, ["layer1.0.conv1"], False),  # its shortcut remains
        (RESNET, ["layer2.0.conv2", "layer2.0.downsample.0"], True),
        (VGG11, [], False),
        (VGG11, ["features.8"], True),
    ],
)
def test_a_network_is_dead_when_no_path_is_left(
    factory: partial, emptied: list[str], dead: bool
) -> None:
    mask = masks.full(blueprint(skeleton(factory)))
    for name in emptied:
        mask[name].zero_()
    assert is_dead(factory, mask, (3, 32, 32)) is dead
