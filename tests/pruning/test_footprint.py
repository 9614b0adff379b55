"""Multiply-accumulates and bytes of tickets, against closed formulas and what is stored."""

from functools import partial
from typing import Any

import pytest
import torch
import torchvision
from conftest import Run
from torch import Tensor, nn

from sanity.archs.resnet import ResNet
from sanity.archs.vgg import CONVOLUTIONS, VGG, WIDTHS
from sanity.core.streams import generator
from sanity.networks.blueprint import blueprint
from sanity.networks.build import build, skeleton
from sanity.pruning import masks
from sanity.pruning.footprint import footprint
from sanity.pruning.ticket import SHAPE, compress


def of_dense(factory: Any, shape: tuple[int, int, int]) -> dict[str, Any]:
    outline = blueprint(skeleton(factory), shape)
    return footprint(factory, outline, masks.full(outline), shape)


@pytest.mark.parametrize("side", [8, 32])
def test_a_resnet8_by_its_formula(side: int) -> None:
    a, b, c = 32, 64, 128
    at = side**2
    stem, first = 9 * 3 * a * at, 2 * 9 * a * a * at
    second = (9 * a * b + 9 * b * b + a * b) * at // 4
    third = (9 * b * c + 9 * c * c + b * c) * at // 16
    found = of_dense(partial(ResNet, 8, 10, image_size=side), (3, side, side))
    assert found["macs"] == found["dense_macs"] == stem + first + second + third + c * 10


@pytest.mark.parametrize(("depth", "side"), [(11, 32), (19, 32), (11, 64)])
def test_a_vgg_by_its_formula(depth: int, side: int) -> None:
    macs, inputs = WIDTHS[-1] * 10, 3
    for stage, (width, count) in enumerate(zip(WIDTHS, CONVOLUTIONS[depth], strict=True)):
        for _ in range(count):
            macs += 9 * inputs * width * (side >> stage) ** 2
            inputs = width
    factory = partial(VGG, depth, True, 10, image_size=side)
    assert of_dense(factory, (3, side, side))["dense_macs"] == macs


def test_a_network_of_others_by_its_published_number() -> None:
    """ResNet-18 at 224 x 224: 1.814 billion (torchvision's table says 1.81 GFLOPS)."""
    assert of_dense(torchvision.models.resnet18, (3, 224, 224))["dense_macs"] == 1_814_073_344


def test_a_ticket_counts_kept_weights_where_they_are_used() -> None:
    factory = partial(ResNet, 8, 10, widths=(4, 8, 8), image_size=8)
    mask = {name: torch.zeros_like(one) for name, one in whole(factory).items()}
    mask["conv1"].view(-1)[:5] = True  # at 64 positions
    mask["layer2.0.conv1"].view(-1)[:3] = True  # at 16
    mask["fc"].view(-1)[:2] = True
    found = footprint(factory, blueprint(skeleton(factory)), mask, (3, 8, 8))
    assert found["macs"] == 5 * 64 + 3 * 16 + 2
    assert found["effective"] == 0


@pytest.mark.parametrize("density", [0.0, 0.1, 1.0])
def test_bytes_are_those_of_the_tensors_that_are_stored(density: float) -> None:
    factory = partial(VGG, 11, True, 10)
    chance = torch.Generator().manual_seed(0)
    mask = {
        name: torch.rand(one.shape, generator=chance) < density
        for name, one in whole(factory).items()
    }
    state = build(factory, generator(0, "init")).state_dict()
    stored = compress(state, mask)
    found = footprint(factory, blueprint(skeleton(factory)), mask, (3, 32, 32))
    assert found["dense_bytes"] == sum(one.nbytes for one in state.values())
    assert found["bytes"] == sum(
        one.nbytes for name, one in stored.items() if not name.endswith(SHAPE)
    )


class Attentive(nn.Module):
    """Attention from few pixels to all."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(3, 1, batch_first=True)
        self.fc = nn.Linear(3, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Images -> logits."""
        pixels = x.flatten(2).transpose(1, 2)
        return self.fc(self.attention(pixels[:, :2], pixels, pixels)[0].mean(dim=1))


def test_what_is_not_known_is_null() -> None:
    found = of_dense(Attentive, (3, 4, 4))
    assert found["macs"] is found["dense_macs"] is found["effective"] is None
    assert found["bytes"] is not None


@pytest.mark.parametrize(("pruner", "sparsity"), [("snip", 0.8), ("dense", 0)])
def test_a_run_notes_it_and_a_reused_stage_remembers_it(
    run: Run, pruner: str, sparsity: float
) -> None:
    overrides = (f"pruner={pruner}", f"ratio.sparsity={sparsity}")
    first, second = (run(*overrides)["ticket"] for _ in range(2))
    found = first["footprint"]
    assert second["footprint"] == found
    assert 0 < found["macs"] <= found["dense_macs"]
    assert 0 < found["effective"] <= first["kept"]
    assert (found["macs"] == found["dense_macs"]) == (pruner == "dense")


def whole(factory: Any) -> masks.Mask:
    return masks.full(blueprint(skeleton(factory)))
