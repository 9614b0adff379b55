from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import nn

from sanity.archs.base import Network
from sanity.archs.resnet import ResNet
from sanity.archs.vgg import VGG
from sanity.core.streams import generator
from sanity.networks.build import build, initialise, skeleton

TINY = partial(ResNet, 8, 10, image_size=8, widths=(4, 8, 16))


class Foreign(nn.Sequential):
    """A network that knows nothing of ours and draws its weights from torch's global state."""

    def __init__(self) -> None:
        super().__init__(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4, 2))


class WithParameter(Network):
    def __init__(self) -> None:
        super().__init__((1, 1, 1))
        self.inner = nn.PReLU()


FACTORIES: list[Callable[[], nn.Module]] = [TINY, partial(VGG, 11, True, 10, 1, 16), Foreign]


@pytest.mark.parametrize("factory", FACTORIES, ids=["resnet", "vgg", "foreign"])
def test_same_stream_same_weights_and_nothing_else_counts(
    factory: Callable[[], nn.Module],
) -> None:
    torch.manual_seed(1)
    first = build(factory, generator(0, "init")).state_dict()
    torch.manual_seed(2)
    state = torch.get_rng_state()
    again = build(factory, generator(0, "init")).state_dict()
    assert torch.equal(torch.get_rng_state(), state)
    other = build(factory, generator(1, "init")).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    drawn = [name for name in first if first[name].dim() > 1]
    assert len(drawn) >= 2
    assert not any(torch.equal(first[name], other[name]) for name in drawn)


def test_skeleton_takes_no_memory() -> None:
    network = skeleton(partial(VGG, 19, True, 1000))
    assert all(p.is_meta for p in (*network.parameters(), *network.buffers()))


def test_every_tensor_is_set_whatever_the_memory_held() -> None:
    network = build(TINY, generator(0, "init"))
    expected = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with torch.no_grad():
        for tensor in network.state_dict().values():
            tensor.fill_(7)
    assert isinstance(network, Network)
    network.reset_parameters(generator(0, "init"))
    for name, tensor in network.state_dict().items():
        torch.testing.assert_close(tensor, expected[name], rtol=0, atol=0)
    batch_norm = {k: v for k, v in expected.items() if k.startswith("bn1.")}
    assert (batch_norm["bn1.weight"] == 1).all()
    assert (batch_norm["bn1.running_var"] == 1).all()
    assert not batch_norm["bn1.bias"].any()
    assert not batch_norm["bn1.running_mean"].any()
    assert batch_norm["bn1.num_batches_tracked"] == 0


def test_weights_are_trainable_and_on_the_cpu() -> None:
    network = build(TINY, generator(0, "init"))
    assert all(p.requires_grad and p.device.type == "cpu" for p in network.parameters())


def test_layers_are_drawn_in_module_order() -> None:
    class Longer(Network):
        fan = "fan_out"

        def __init__(self) -> None:
            super().__init__((3, 8, 8))
            self.conv1 = nn.Conv2d(3, 4, 3)
            self.extra = nn.Linear(4, 2)

    class Shorter(Network):
        fan = "fan_out"

        def __init__(self) -> None:
            super().__init__((3, 8, 8))
            self.conv1 = nn.Conv2d(3, 4, 3)

    longer, shorter = (build(kind, generator(0, "init")) for kind in (Longer, Shorter))
    assert torch.equal(longer.state_dict()["conv1.weight"], shorter.state_dict()["conv1.weight"])


class Hidden(Network):
    """Two hidden linear layers, one on either side of a convolution, and the classifier."""

    def __init__(self) -> None:
        super().__init__((64, 1, 1))
        self.first = nn.Linear(64, 400)
        self.conv = nn.Conv2d(400, 100, 1)
        self.second = nn.Linear(100, 300)
        self.last = nn.Linear(300, 100)


@pytest.mark.parametrize("fan", ["fan_in", "fan_out"])
def test_hidden_linear_layers_start_like_convolutions_and_the_last_one_small(
    fan: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Hidden, "fan", fan)
    weights = build(Hidden, generator(0, "init")).state_dict()
    for name in ("first", "conv", "second"):
        weight = weights[f"{name}.weight"]
        side = weight.shape[1 if fan == "fan_in" else 0]
        assert weight.std() == pytest.approx((2 / side) ** 0.5, rel=0.03)
        assert abs(weight.mean()) < 0.03 * weight.std()
    assert weights["last.weight"].std() == pytest.approx(0.01, rel=0.03)
    assert not any(weights[f"{name}.bias"].any() for name in ("first", "conv", "second", "last"))


@pytest.mark.parametrize("factory", FACTORIES[:2], ids=["resnet", "vgg"])
def test_one_linear_layer_is_drawn_as_ever(factory: Callable[[], nn.Module]) -> None:
    """Draw by draw: results of these networks are stored and published."""
    network, random = build(factory, generator(0, "init")), generator(0, "init")
    for module in network.modules():
        if not isinstance(module, nn.Conv2d | nn.Linear):
            continue
        weight, std = module.weight.detach(), 0.01
        if isinstance(module, nn.Conv2d):
            side = weight[0] if network.fan == "fan_in" else weight[:, 0]
            std = (2 / side.numel()) ** 0.5
        expected = torch.empty_like(weight).normal_(generator=random) * std
        torch.testing.assert_close(weight, expected)


def test_a_module_without_a_rule_is_not_left_uninitialised() -> None:
    network = skeleton(WithParameter)
    assert isinstance(network, Network)
    with pytest.raises(TypeError, match="no rule to initialise inner: override reset_parameters"):
        initialise(network, generator(0, "init"))
