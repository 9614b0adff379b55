"""Effective weights against a search through the graph of every unit, channel and position."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sanity.archs.resnet import ResNet
from sanity.archs.vgg import VGG
from sanity.networks.blueprint import blueprint
from sanity.networks.build import skeleton
from sanity.pruning import masks
from sanity.pruning.connectivity import is_dead
from sanity.pruning.masks import Mask
from sanity.pruning.paths import effective

SIDE = 6
Node = tuple[Any, ...]
Units = Mapping[tuple[int, ...], Node]
"""The nodes of an activation by their place in it, without the image: (c, y, x) or (feature,)."""


class Graph:
    """Edges between units, each with the weight that it uses, if any."""

    def __init__(self, mask: Mask) -> None:
        self.mask = mask
        self.edges: list[tuple[Node, Node, Node | None]] = []
        self.made = 0

    def input(self) -> Units:
        """The nodes of an image."""
        places = [(c, y, x) for c in range(2) for y in range(SIDE) for x in range(SIDE)]
        return {place: ("input", *place) for place in places}

    def _new(self, places: Iterable[tuple[int, ...]]) -> dict[tuple[int, ...], Node]:
        self.made += 1
        return {place: (self.made, *place) for place in places}

    def conv(self, name: str, source: Units, stride: int = 1, padding: int = 0) -> Units:
        """A convolution, tap by tap."""
        keep = self.mask[name]
        outputs, height = len(keep), keep.shape[2]
        side = 1 + max(y for _, y, _ in source)
        out = range((side + 2 * padding - height) // stride + 1)
        found = self._new((o, y, x) for o in range(outputs) for y in out for x in out)
        for o, y, x in found:
            for weight in keep[o].nonzero().tolist():
                i, dy, dx = weight
                place = (i, y * stride + dy - padding, x * stride + dx - padding)
                if place in source:
                    self.edges.append((source[place], found[o, y, x], (name, o, *weight)))
        return found

    def linear(self, name: str, source: Units) -> Units:
        """A linear layer of features in order."""
        flat = [source[place] for place in sorted(source)]
        found = self._new((o,) for o in range(len(self.mask[name])))
        for o, i in self.mask[name].nonzero().tolist():
            self.edges.append((flat[i], found[o,], (name, o, i)))
        return found

    def pool(self, source: Units, size: int = 2) -> Units:
        """Windows side by side."""
        found = self._new({(c, y // size, x // size) for c, y, x in source})
        for (c, y, x), node in source.items():
            self.edges.append((node, found[c, y // size, x // size], None))
        return found

    def add(self, one: Units, other: Units) -> Units:
        """A sum of equals."""
        found = self._new(one)
        for place, node in found.items():
            self.edges += [(one[place], node, None), (other[place], node, None)]
        return found

    def effective(self, outputs: Units) -> int:
        """The weights on edges that are reached and lead on."""
        ahead, back = defaultdict(list), defaultdict(list)
        for source, target, _ in self.edges:
            ahead[source].append(target)
            back[target].append(source)
        reached = closure(self.input().values(), ahead)
        leading = closure(outputs.values(), back)
        edges = ((weight, s in reached and t in leading) for s, t, weight in self.edges)
        return len({weight for weight, is_effective in edges if is_effective and weight})


def closure(start: Iterable[Node], ahead: Mapping[Node, list[Node]]) -> set[Node]:
    """All that can be reached."""
    found, waiting = set(start), list(start)
    while waiting:
        for target in ahead.get(waiting.pop(), []):
            if target not in found:
                found.add(target)
                waiting.append(target)
    return found


class Plain(nn.Module):
    """Convolutions, strided and padded, a maximum, and two linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Conv2d(2, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.b = nn.Conv2d(4, 4, 3, stride=2, padding=1, bias=False)
        self.c = nn.Conv2d(4, 3, 2)
        self.d = nn.Linear(3, 5)
        self.e = nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Images -> logits."""
        x = F.relu(self.norm(self.a(x)), inplace=True)
        x = F.max_pool2d(self.c(F.gelu(self.b(x))), 2)
        return self.e(torch.relu(self.d(x.flatten(1))))

    @staticmethod
    def graph(graph: Graph) -> int:
        """The same, unit by unit."""
        x = graph.conv("b", graph.conv("a", graph.input(), padding=1), stride=2, padding=1)
        return graph.effective(graph.linear("e", graph.linear("d", graph.pool(graph.conv("c", x)))))


class Residual(nn.Module):
    """Shortcuts, as they are and projected, a layer that is used twice, and a concatenation."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Conv2d(2, 4, 1)
        self.b = nn.Conv2d(4, 4, 3, padding=1)
        self.c = nn.Conv2d(4, 4, 3, padding=1)
        self.short = nn.Conv2d(4, 4, 1)
        self.fc = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Images -> logits."""
        x = F.relu(self.a(x))
        y = x + self.b(F.relu(self.b(x)))
        y = F.relu(y)
        z = self.c(y)
        z += self.short(y)
        return self.fc(torch.cat([y.mean(dim=(2, 3)), F.adaptive_avg_pool2d(z, 1)[:, :, 0, 0]], 1))

    @staticmethod
    def graph(graph: Graph) -> int:
        """The same, unit by unit."""
        x = graph.conv("a", graph.input())
        y = graph.add(x, graph.conv("b", graph.conv("b", x, padding=1), padding=1))
        z = graph.add(graph.conv("c", y, padding=1), graph.conv("short", y))
        second = graph.pool(z, SIDE).items()
        both = {**graph.pool(y, SIDE), **{(c + 4, *place): node for (c, *place), node in second}}
        return graph.effective(graph.linear("fc", both))


def drawn(factory: Callable[[], nn.Module], density: float, seed: int) -> Mask:
    chance = torch.Generator().manual_seed(seed)
    network = skeleton(factory)
    shape = getattr(network, "input_shape", (2, SIDE, SIDE))
    layers = blueprint(network, shape).layers
    return {one.name: torch.rand(one.shape, generator=chance) < density for one in layers}


@pytest.mark.parametrize("network", [Plain, Residual])
@pytest.mark.parametrize("density", [0.05, 0.1, 0.2, 0.4, 1.0])
def test_a_search_through_the_graph_finds_as_many(network: Any, density: float) -> None:
    found = []
    for seed in range(20 if density < 1 else 1):
        mask = drawn(network, density, seed)
        found.append(effective(network, mask, (2, SIDE, SIDE)))
        assert found[-1] == network.graph(Graph(mask)), seed
    assert any(found) or density < 0.1


@pytest.mark.parametrize(
    ("factory", "shape"),
    [
        (partial(ResNet, 8, 10, widths=(4, 4, 8)), (3, 32, 32)),
        (partial(ResNet, 8, 10, widths=(4, 4, 8), block="bottleneck"), (3, 32, 32)),
        (partial(ResNet, 110, 10, widths=(4, 4, 8)), (3, 32, 32)),
        (partial(VGG, 11, True, 10), (3, 32, 32)),
        (partial(VGG, 19, False, 10), (3, 32, 32)),
    ],
)
def test_all_of_a_dense_network_is_effective(factory: Any, shape: tuple[int, int, int]) -> None:
    """However deep it is: nothing overflows, and nothing vanishes."""
    plan = blueprint(skeleton(factory))
    assert effective(factory, masks.full(plan), shape) == plan.total


@pytest.mark.parametrize("density", [0.002, 0.01, 0.05])
def test_a_dead_ticket_has_no_effective_weight_and_no_other_has_none(density: float) -> None:
    factory = partial(ResNet, 8, 10, widths=(4, 4, 8))
    for seed in range(20):
        mask = drawn(factory, density, seed)
        assert is_dead(factory, mask, (3, 32, 32)) == (effective(factory, mask, (3, 32, 32)) == 0)


def test_a_weight_that_meets_only_padding_takes_no_part() -> None:
    """At 16 x 16, the last maps of a VGG are a single position."""
    factory = partial(VGG, 11, True, 10, image_size=16)
    mask = masks.full(blueprint(skeleton(factory)))
    last = mask["features.25"].numel() + mask["features.22"].numel()
    found = effective(factory, mask, (3, 16, 16))
    assert found == sum(one.numel() for one in mask.values()) - last * 8 // 9


class Odd(nn.Module):
    """Two layers, and between them what ``between`` makes of a map."""

    def __init__(self, between: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.a, self.fc, self.between = nn.Conv2d(2, 4, 1), nn.Linear(4, 3), between
        self.shift = nn.Parameter(torch.ones(1, 4, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Images -> logits."""
        return self.fc(self.between(self.a(x)).mean(dim=(2, 3)))


def unwatched(x: Tensor) -> Tensor:
    with torch.no_grad():
        return F.relu(x)


OTHER = {
    "sigmoid": torch.sigmoid,
    "constant": lambda x: x + 1,
    "tensor": lambda x: x + torch.ones(1, 4, 1, 1),
    "difference": lambda x: x - F.relu(x),
    "negated": lambda x: torch.add(x, x, alpha=-1),
    "gate": lambda x: x * x.mean(dim=(2, 3), keepdim=True),
    "norm over channels": lambda x: F.group_norm(x, 2),
    "largest of channels": lambda x: x.amax(dim=1, keepdim=True).expand(-1, 4, -1, -1),
    "padding that is not 0": lambda x: F.pad(x, (1, 1, 1, 1), value=1.0),
    "a look at values": lambda x: F.relu(x) if bool(x.sum() > 0) else x,
    "detached": lambda x: x.detach(),
    "unwatched": unwatched,
    "replaced": lambda x: torch.ones_like(x),
    "own random numbers": lambda x: F.dropout(x, training=True),
    "spread maxima": lambda x: F.max_pool2d(x, 2, dilation=2),
    "maxima and places": lambda x: F.max_pool2d(x, 2, return_indices=True)[0],
    "saturating": F.relu6,
    "failing": lambda x: x.view(-1, 7),
}


@pytest.mark.parametrize("between", OTHER.values(), ids=OTHER)
def test_what_has_no_paths_gets_no_number(between: Callable[[Tensor], Tensor]) -> None:
    mask = masks.full(blueprint(Odd(F.relu), (2, SIDE, SIDE)))
    assert effective(lambda: Odd(between), mask, (2, SIDE, SIDE)) is None


FINE: dict[str, Callable[[Tensor], Tensor]] = {
    "as it is": lambda x: x,
    "sum": lambda x: sum([F.silu(x)], start=x),
    "sum from 0": lambda x: 0 + F.silu(x),
    "halves": lambda x: torch.cat([one.contiguous() for one in x.chunk(2, dim=1)], dim=1),
    "dropout": lambda x: F.dropout(F.pad(x, (1, 1, 1, 1)), training=False),
    "turned": lambda x: x.permute(0, 1, 3, 2).reshape(x.shape),
    "maxima": lambda x: nn.AdaptiveMaxPool2d(2)(nn.MaxPool2d(3, 2, 1, ceil_mode=True)(x)),
}


@pytest.mark.parametrize("between", FINE.values(), ids=FINE)
def test_what_passes_everything_on_is_understood(between: Callable[[Tensor], Tensor]) -> None:
    mask = masks.full(blueprint(Odd(between), (2, SIDE, SIDE)))
    mask["a"][1], mask["fc"][:, 2] = False, False
    # Channels 0 and 3 are fed and read; 1 and 2 are one without the other.
    assert effective(lambda: Odd(between), mask, (2, SIDE, SIDE)) == 2 * 2 + 2 * 3


def test_added_parameters_and_shared_weights_get_no_number() -> None:
    class Shifted(Odd):
        def forward(self, x: Tensor) -> Tensor:
            """Images -> logits."""
            return self.fc((self.a(x) + self.shift).mean(dim=(2, 3)))

    class Shared(Odd):
        def __init__(self, between: Callable[[Tensor], Tensor]) -> None:
            super().__init__(between)
            self.again = nn.Conv2d(2, 4, 1)
            self.again.weight = self.a.weight

    for one in (Shifted, Shared):
        mask = masks.full(blueprint(one(F.relu), (2, SIDE, SIDE)))
        assert effective(partial(one, F.relu), mask, (2, SIDE, SIDE)) is None


def test_nothing_is_changed() -> None:
    mask, state = drawn(Residual, 0.3, 0), torch.get_rng_state()
    before = {name: keep.clone() for name, keep in mask.items()}
    effective(Residual, mask, (2, SIDE, SIDE))
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(before[name], keep) for name, keep in mask.items())
