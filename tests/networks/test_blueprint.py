"""A network's contract, clause by clause: what is found out of networks, ours and others'."""

from collections.abc import Callable
from functools import partial
from typing import Any

import foreign_nets as nets
import pytest
import timm
import torch
import torchvision
from foreign_nets import Pooled
from options import load_option, options
from torch import Tensor, nn

from sanity.archs.resnet import ResNet
from sanity.core.errors import ConfigError
from sanity.networks.blueprint import blueprint
from sanity.networks.layers import Blueprint, prunable_weights, weights_of

DIGITS = (1, 8, 8)
COLOURS = (3, 32, 32)
VIT = partial(
    torchvision.models.VisionTransformer, 16, 8, 2, 2, hidden_dim=16, mlp_dim=32, num_classes=10
)
TIMM_VIT = partial(
    timm.create_model,
    "vit_tiny_patch16_224",
    img_size=16,
    patch_size=8,
    embed_dim=16,
    depth=2,
    num_heads=2,
    num_classes=10,
)


def of(factory: Callable[..., nn.Module], shape: tuple[int, int, int] = DIGITS) -> Blueprint:
    return blueprint(factory(), shape)


def theirs(name: str, **settings: Any) -> nn.Module:
    made: nn.Module = torchvision.models.get_model(name, num_classes=10, **settings)
    return made


# name, image side, prunable layers, shortcuts, classifier
TORCHVISION = [
    ("alexnet", 64, 8, False, "classifier.6"),
    ("vgg11_bn", 32, 11, False, "classifier.6"),
    ("resnet18", 32, 21, True, "fc"),
    ("resnext50_32x4d", 32, 54, True, "fc"),
    ("densenet121", 32, 121, True, "classifier"),
    ("mobilenet_v2", 32, 53, True, "classifier.1"),
    ("mobilenet_v3_small", 32, 54, True, "classifier.3"),
    ("efficientnet_b0", 32, 82, True, "classifier.1"),
    ("shufflenet_v2_x0_5", 32, 57, True, "fc"),
    ("squeezenet1_1", 32, 26, False, "classifier.1"),
    ("convnext_tiny", 32, 59, True, "classifier.2"),
    ("swin_t", 32, 53, True, "head"),
]


@pytest.mark.parametrize(("name", "side", "layers", "shortcuts", "classifier"), TORCHVISION)
def test_torchvisions_networks(
    name: str, side: int, layers: int, shortcuts: bool, classifier: str
) -> None:
    found = blueprint(theirs(name), (3, side, side), 10)
    assert (len(found.layers), found.shortcuts) == (layers, shortcuts)
    assert found.classifier == (classifier,)
    assert found.misplaced is None
    assert all(layer.positions for layer in found.layers)


# Published: GFLOPS of torchvision's tables, which are multiply-accumulates, attention's products
# of activations and what is no layer apart.
@pytest.mark.parametrize(
    ("name", "billions"),
    [("resnet18", 1.814), ("vgg11", 7.609), ("mobilenet_v2", 0.301), ("densenet121", 2.834)],
)
def test_multiplications_are_those_published(name: str, billions: float) -> None:
    network = torchvision.models.get_model(name)
    found = blueprint(network, (3, 224, 224))
    macs = sum(layer.total * layer.positions for layer in found.layers if layer.positions)
    assert macs / 1e9 == pytest.approx(billions, abs=6e-4)


@pytest.mark.parametrize("arch", options("arch"))
def test_ours_have_a_classifier_and_shortcuts_where_they_are_residual(arch: str) -> None:
    settings = load_option("arch", arch)
    if settings["_target_"].endswith(".network"):  # of a library
        return
    from hydra.utils import instantiate

    settings = {k: v for k, v in settings.items() if k != "init_from"}
    network = instantiate(settings | {"num_classes": 7, "in_channels": 1, "image_size": 32})
    found = blueprint(network, (1, 32, 32), 7)
    assert found.shortcuts == arch.startswith(("resnet", "wrn"))
    assert found.classifier == (found.layers[-1].name,)
    assert found.misplaced is None
    assert not found.draws
    assert not found.remarks


def test_attention_is_pruned_and_what_is_not_is_told() -> None:
    found = of(nets.Attentive)
    assert found.names == ["embed", "attention.in_proj_weight", "attention.out_proj", "fc"]
    assert [layer.kind for layer in found.layers] == ["conv", "linear", "linear", "linear"]
    assert [layer.total for layer in found.layers] == [32, 3 * 64, 64, 80]
    assert found.remarks == ("128 weights of other kinds are never pruned: place",)
    assert found.shortcuts
    encoder = blueprint(VIT(), (3, 16, 16))
    projections = [name for name in encoder.names if name.endswith("in_proj_weight")]
    assert len(projections) == 2
    assert all(layer.positions == 5 for layer in encoder.layers if layer.name in projections)
    assert encoder.classifier == ("heads.head",)
    with_separate = nn.MultiheadAttention(4, 2, kdim=3, vdim=3)
    assert [*prunable_weights(with_separate)] == [
        *("q_proj_weight", "k_proj_weight", "v_proj_weight", "out_proj"),
    ]


def test_shared_weights_are_pruned_once_and_unused_ones_are_not() -> None:
    found = of(nets.Tied)
    assert found.names == ["conv", "first", "fc"]
    unused, tied = found.remarks
    assert unused == "800 weights that no forward pass uses are neither pruned nor counted: head"
    assert tied == "weights that several layers share are pruned once: second = first, again = conv"
    assert {layer.name: layer.positions for layer in found.layers} == {
        **{"conv": 64, "first": 2, "fc": 1}
    }


def test_two_heads_are_one_classifier() -> None:
    network = timm.create_model(
        "deit_tiny_distilled_patch16_224",
        **TIMM_VIT.keywords,
    )
    assert blueprint(network, (3, 16, 16)).classifier == ("head", "head_dist")


def test_layers_out_of_order_are_found() -> None:
    assert of(nets.Backwards).misplaced == ("fc", "conv")
    assert of(nets.Residual).misplaced is None


def test_a_layer_whose_output_nobody_gets_is_unused() -> None:
    found = of(nets.Discarding)
    assert found.names == ["conv", "fc"]
    assert found.remarks[0].endswith("neither pruned nor counted: other")


def test_logits_of_no_layer_are_said() -> None:
    found = of(nets.Headless)
    assert found.classifier == ()
    assert found.remarks == ("none of its layers gives the logits: ratio.linear is about none",)


def test_what_leaves_pytorch_is_not_known() -> None:
    found = of(nets.Unseen)
    assert found.shortcuts is None
    assert found.classifier == ()
    assert found.names == ["conv", "fc"]
    assert "how its output comes from the images cannot be seen" in found.remarks[0]


@pytest.mark.parametrize(
    ("network", "draws", "remarks"),
    [
        (nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), False, 0),
        (nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(64, 10)), True, 0),
        (nn.Sequential(nn.Flatten(), nn.Dropout(0.0), nn.Linear(64, 10)), False, 0),
        (nets.Dropping(), True, 0),
        (nets.DroppingByPython(), True, 0),
        (nets.Pooled(), True, 0),  # who knows what it does at the next step
        (nets.DroppingByItself(), True, 1),
    ],
)
def test_chance_in_the_forward_pass_is_seen(network: nn.Module, draws: bool, remarks: int) -> None:
    found = blueprint(network, DIGITS)
    assert found.draws == draws
    assert len(found.remarks) == remarks
    assert all("do not repeat to the same bits" in one for one in found.remarks)


def standardised() -> nn.Module:
    made: nn.Module = timm.create_model("resnetv2_50x1_bit", num_classes=10)
    return made


def weight_norm(kind: Any) -> Callable[[], nn.Module]:
    def make() -> nn.Module:
        return nn.Sequential(nn.Flatten(), kind(nn.Linear(3 * 32 * 32, 10)))

    return make


REFUSED: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "standardised weights": (standardised, "stem.conv goes through native_batch_norm"),
    "weight norm": (weight_norm(nn.utils.parametrizations.weight_norm), "layer 1 is computed"),
    "old weight norm": (
        weight_norm(lambda layer: _quietly(nn.utils.weight_norm, layer)),
        "layer 1 is computed from others",
    ),
    "spectral norm": (weight_norm(nn.utils.parametrizations.spectral_norm), "layer 1 is computed"),
    "lazy": (lambda: nn.Sequential(nn.Flatten(), nn.LazyLinear(10)), "1 is lazy; give it its size"),
    "no layers": (nn.Flatten, "no convolution or linear layer"),
    "other images": (lambda: Pooled(channels=2), r"does not take images \(3, 32, 32\)"),
    "maps": (lambda: nn.Conv2d(3, 10, 3), r"gives \(10, 30, 30\) outputs for 10 classes"),
    "other classes": (lambda: Pooled(7, 3), r"gives \(7,\) outputs for 10 classes"),
    "outputs for training": (
        lambda: torchvision.models.googlenet(num_classes=10, init_weights=False),
        "gives a GoogLeNetOutputs in training mode instead of logits",
    ),
}


def _quietly(function: Any, layer: nn.Module) -> nn.Module:
    with pytest.warns(FutureWarning):
        made: nn.Module = function(layer)
    return made


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_pruned_is_refused_in_a_line(case: str) -> None:
    factory, message = REFUSED[case]
    with pytest.raises(ConfigError, match=rf"^arch: .*{message}") as caught:
        blueprint(factory(), COLOURS, 10)
    assert "\n" not in str(caught.value)


def test_the_network_stays_as_it_was() -> None:
    network = ResNet(8, 10, widths=(4, 4, 8)).train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    state = torch.get_rng_state()
    blueprint(network)
    assert network.training
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(before[name], one) for name, one in network.state_dict().items())


def test_weights_are_found_by_their_layers_in_the_networks_order() -> None:
    network = nets.Attentive()
    names = of(nets.Attentive).names
    found = weights_of(network, reversed(names))
    assert [*found] == names
    assert found["attention.in_proj_weight"] is network.attention.in_proj_weight
    assert isinstance(found["fc"], Tensor)
    with pytest.raises(KeyError, match="no layer nowhere"):
        weights_of(network, ["fc", "nowhere"])
