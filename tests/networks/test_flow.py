"""What a forward pass shows of a network, against what is known of it."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sanity.networks.flow import Flow, flow
from sanity.networks.layers import prunable_weights


def seen(network: nn.Module, *shape: int) -> Flow:
    images = torch.randn(2, *shape, generator=torch.Generator().manual_seed(0))
    found, _ = flow(network, prunable_weights(network), images)
    return found


class Small(nn.Module):
    """A convolution of each kind, and one that is called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.strided = nn.Conv2d(3, 4, 3, stride=2)
        self.grouped = nn.Conv2d(4, 4, (1, 3), padding=(0, 1), groups=2)
        self.rows = nn.Linear(6, 6, bias=False)
        self.fc = nn.Linear(4, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Images -> logits."""
        x = self.grouped(self.grouped(F.relu(self.strided(x))))
        return self.fc(self.rows(x).mean(dim=(2, 3)))


def test_every_use_of_a_weight_counts() -> None:
    # 13 x 15 at stride 2 without padding: 6 x 7; the rows of 6 are then those along the height.
    found = seen(Small(), 3, 15, 13)
    assert found.positions == {"strided": 7 * 6, "grouped": 2 * 7 * 6, "rows": 4 * 7, "fc": 1}
    assert found.output is not None
    assert found.output.front == {"fc"}
    assert (found.output.least, found.output.most) == (5, 5)
    assert found.after["fc"] == {"strided", "grouped", "rows"}
    assert found.after["strided"] == set()


class Attention(nn.Module):
    """Self-attention over the pixels, or from another number of queries."""

    def __init__(self, crossed: bool) -> None:
        super().__init__()
        self.crossed = crossed
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
        self.fc = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Images -> logits."""
        pixels = x.flatten(2).transpose(1, 2)
        queries = pixels[:, :2] if self.crossed else pixels
        attended, _ = self.attention(queries, pixels, pixels)
        return self.fc(attended.mean(dim=1))


def test_attention_uses_its_projections_at_every_pixel() -> None:
    found = seen(Attention(crossed=False), 4, 3, 3)
    assert found.positions == {
        "attention.in_proj_weight": 9,
        "attention.out_proj": 9,
        "fc": 1,
    }
    assert found.after["attention.out_proj"] == {"attention.in_proj_weight"}


def test_where_weights_of_a_layer_are_used_differently_often_no_number_is_given() -> None:
    found = seen(Attention(crossed=True), 4, 3, 3)
    assert found.positions["attention.in_proj_weight"] is None
    assert found.positions["attention.out_proj"] == 2


class Written(nn.Module):
    """Two layers of weights, joined as ``join`` says."""

    def __init__(self, join: Any) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False)
        self.join = join

    def forward(self, x: Tensor) -> Tensor:
        """Images -> features."""
        return self.join(self, x.flatten(1))


JOINED = {
    "sum": (lambda net, x: x + net.b(net.a(x)), (0, 2)),
    "sum in place": (lambda net, x: net.b(net.a(x)).add_(x), (0, 2)),
    "concatenation": (lambda net, x: torch.cat([net.a(x), net.b(net.a(x))], dim=1), (1, 2)),
    "written into slices": (
        lambda net, x: torch.zeros(2, 8).slice_scatter(x, 1, 0, 4).add(F.pad(net.a(x), (4, 0))),
        (0, 1),
    ),
    "branches alike": (lambda net, x: net.a(x) + net.b(x), (1, 1)),
    "a gate": (lambda net, x: net.a(x) * net.b(net.a(x)).sigmoid(), (2, 2)),
    "one after the other": (lambda net, x: net.b(F.relu(net.a(x), inplace=True)), (2, 2)),
}


@pytest.mark.parametrize("name", JOINED)
def test_paths_over_fewer_layers_are_found_where_they_meet_others(name: str) -> None:
    join, expected = JOINED[name]
    found = seen(Written(join), 1, 2, 2)
    assert found.output is not None
    assert (found.output.least, found.output.most) == expected


MADE = {
    "as it is": (lambda net, x: F.linear(x, net.a.weight), None),
    "transposed": (lambda net, x: x @ net.a.weight.t().contiguous(), None),
    "scaled": (lambda net, x: x @ (net.a.weight * 2.0).T, None),
    "put together": (lambda net, x: x @ torch.cat([net.a.weight, net.b.weight]).T, None),
    "normalised": (lambda net, x: F.linear(x, F.normalize(net.a.weight)), None),
    "times its own norm": (lambda net, x: x @ (net.a.weight * net.a.weight.norm()).T, None),
    "under a weight": (lambda net, x: x @ (1 / net.a.weight).T, "reciprocal"),
    "norm over weight": (
        lambda net, x: x @ (net.b.weight.norm() / net.a.weight).T,
        "linalg_vector_norm",
    ),
    "as a factor": (lambda net, x: x * net.a.weight[0], None),
    "only looked at": (lambda net, x: x + 0 * x * float(net.a.weight.detach().norm()), None),
    "standardised": (lambda net, x: x @ (net.a.weight - net.a.weight.mean()).T, "mean"),
    "shifted": (lambda net, x: x @ (net.a.weight + 1).T, "add"),
    "added": (lambda net, x: x + net.a.weight[0], "add"),
    "exponentiated": (lambda net, x: x @ net.a.weight.exp(), "exp"),
}


@pytest.mark.parametrize("name", MADE)
def test_what_makes_something_of_zeros_is_named(name: str) -> None:
    make, expected = MADE[name]
    assert seen(Written(make), 1, 2, 2).filled.get("a") == expected


def test_what_is_never_used_is_after_nothing() -> None:
    found = seen(Written(lambda net, x: net.a(x)), 1, 2, 2)
    assert "b" not in found.after
    assert "b" not in found.positions


def test_an_output_that_leaves_pytorch_is_not_followed() -> None:
    def through_numpy(net: nn.Module, x: Tensor) -> Tensor:
        return torch.from_numpy(net.a(x).detach().numpy() + 1)  # type: ignore[operator]

    assert seen(Written(through_numpy), 1, 2, 2).output is None
