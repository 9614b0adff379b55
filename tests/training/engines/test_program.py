"""What the sparse engine sees of a network: all of it, or it says what it does not know."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from networks import NAMES, network
from torch import Tensor, nn
from torch.nn import functional as F

from sanity.training.engines.program import (
    Combination,
    Convolution,
    UnsupportedError,
    program,
)

SHAPE = (3, 8, 8)


class Own(nn.Module):
    """A network with parts of its own, and a forward pass given as a function."""

    def __init__(self, run: Callable[[Any, Tensor], Tensor], **parts: nn.Module) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.fc, self.run = nn.Linear(4, 2), run
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x: Tensor) -> Tensor:
        return self.run(self, x)


def head(net: Any, x: Tensor) -> Tensor:
    return net.fc(x.mean((2, 3)))


@pytest.mark.parametrize("name", NAMES)
def test_every_layer_is_there_once(name: str) -> None:
    found, shape = network(name)
    operations = program(found, shape).operations
    layers = [one.name for one in operations if isinstance(one, Convolution)]
    norms = [one.norm for one in operations if isinstance(one, Combination) and one.norm]
    kinds = nn.Conv2d | nn.Linear, nn.BatchNorm2d
    expected = [[n for n, m in found.named_modules() if isinstance(m, kind)] for kind in kinds]
    assert [sorted(layers), sorted(norms)] == [sorted(one) for one in expected]


def test_what_is_read_twice_is_not_changed_on_the_way() -> None:
    """The sum reads what stands before the ReLU: they are two operations."""
    before = program(Own(lambda n, x: head(n, F.relu(y := n.norm(n.conv(x))) + y)), SHAPE)
    kinds = [one.relu for one in before.operations if isinstance(one, Combination)]
    assert kinds == [False, True, False]
    alone = program(Own(lambda n, x: head(n, F.relu(n.norm(n.conv(x))))), SHAPE)
    assert [one.relu for one in alone.operations if isinstance(one, Combination)] == [True]


UNKNOWN: dict[str, tuple[Own, str]] = {
    "an activation": (Own(lambda n, x: head(n, F.gelu(n.conv(x)))), "gelu"),
    "a module": (Own(lambda n, x: head(n, n.act(n.conv(x))), act=nn.SiLU()), "act is a SiLU"),
    "dropout": (Own(lambda n, x: head(n, n.drop(n.conv(x))), drop=nn.Dropout(0.1)), "a Dropout"),
    "a scale": (Own(lambda n, x: head(n, 2 * n.conv(x))), "mul"),
    "numbers looked at": (
        Own(lambda n, x: head(n, n.conv(x) if x.mean() > 0 else n.conv(-x))),
        "cannot be traced",
    ),
    "a module twice": (Own(lambda n, x: head(n, n.norm(n.norm(n.conv(x))))), "norm is used twice"),
    "groups": (
        Own(lambda n, x: head(n, n.g(n.conv(x))), g=nn.Conv2d(4, 4, 3, groups=2)),
        "g is a convolution of another kind",
    ),
    "overlapping windows": (
        Own(lambda n, x: head(n, n.p(n.conv(x))), p=nn.MaxPool2d(3, 2)),
        "p is a max-pool of another kind",
    ),
    "statistics that stay": (
        Own(lambda n, x: head(n, n.b(n.conv(x))), b=nn.BatchNorm2d(4, track_running_stats=False)),
        "b is a batch norm of another kind",
    ),
    "in place": (
        Own(lambda n, x: head(n, F.relu(y := n.norm(n.conv(x)), inplace=True) + y)),
        "changes in place",
    ),
    "pixels side by side": (Own(lambda n, x: n.conv(x).flatten(1)), "flattens more than one pixel"),
    "a parameter by itself": (
        Own(lambda n, x: head(n, n.conv(x) + n.conv.bias[:, None, None])),
        "conv.bias by itself",
    ),
    "frozen weights": (
        Own(lambda n, x: head(n, n.f(n.conv(x))), f=nn.Conv2d(4, 4, 1).requires_grad_(False)),
        "f is not trained",
    ),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_it_does_not_know_is_said(name: str) -> None:
    found, message = UNKNOWN[name]
    with pytest.raises(UnsupportedError, match=message):
        program(found, SHAPE)


def test_shared_weights_are_not_taken_for_two() -> None:
    twins = nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1)
    twins[1].weight = twins[0].weight
    net = Own(lambda n, x: head(n, n.b(n.a(n.conv(x)))), a=twins[0], b=twins[1])
    with pytest.raises(UnsupportedError, match="share"):
        program(net, SHAPE)


def test_hooks_are_not_passed_over() -> None:
    net = Own(lambda n, x: head(n, n.conv(x)))
    net.conv.register_forward_hook(lambda module, inputs, output: output * 2)
    with pytest.raises(UnsupportedError, match="hooks"):
        program(net, SHAPE)
    assert torch.is_tensor(net(torch.zeros(2, *SHAPE)))
