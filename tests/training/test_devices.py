"""The same run on every device that is there: CUDA and MPS only where the machine has them."""

import copy
from pathlib import Path

import pytest
import torch
from conftest import Run
from options import options
from resuming import Stopped, disturb
from torch import nn
from trained import train

from sanity.archs.resnet import ResNet
from sanity.core.device import choose
from sanity.core.errors import ConfigError
from sanity.core.streams import generator
from sanity.datasets.base import Examples
from sanity.datasets.cifar10 import Cifar10
from sanity.networks.build import build
from sanity.training.checkpoint import Checkpoints
from sanity.training.images import Images
from sanity.training.loop import Splits
from sanity.training.progress import Epoch
from sanity.training.recipe import Recipe

DEVICES = [
    pytest.param("cpu"),
    pytest.param(
        "cuda",
        marks=[
            pytest.mark.cuda,
            pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
        ],
    ),
    pytest.param(
        "mps",
        marks=pytest.mark.skipif(not torch.backends.mps.is_available(), reason="no MPS device"),
    ),
]
RECIPE = Recipe(epochs=2, batch_size=32, lr=0.05)


def splits(device: torch.device) -> Splits:
    random = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (96, 32, 32, 3), generator=random, dtype=torch.uint8)
    examples = Examples(pixels, torch.arange(96) % 10, 10)
    images = Images(examples, Cifar10(), device)
    return Splits(images, images, images)


@pytest.mark.parametrize("device", DEVICES)
def test_augmented_batches_are_the_same_on_every_device(device: str) -> None:
    here, there = splits(torch.device("cpu")), splits(torch.device(device))
    pairs = zip(here.train.epoch(0, 3, 32), there.train.epoch(0, 3, 32), strict=True)
    for (x, y), (other_x, other_y) in pairs:
        assert other_x.device.type == device
        torch.testing.assert_close(x, other_x.cpu(), rtol=1e-6, atol=1e-6)
        assert torch.equal(y, other_y.cpu())


@pytest.mark.parametrize("device", DEVICES)
def test_masked_training_agrees_with_the_cpu(device: str) -> None:
    def factory() -> ResNet:
        return ResNet(depth=8, num_classes=10, widths=(4, 8, 8))

    network = build(factory, generator(0, "init"))
    random = torch.Generator().manual_seed(1)
    weights = dict(network.named_parameters())
    mask = {"conv1": torch.rand(weights["conv1.weight"].shape, generator=random) < 0.5}
    twin = copy.deepcopy(network).to(device)
    exact = train(network, splits(torch.device("cpu")), RECIPE, seed=0, mask=mask)
    found = train(twin, splits(torch.device(device)), RECIPE, seed=0, mask=mask)
    assert found[-1].train_loss == pytest.approx(exact[-1].train_loss, rel=1e-2)
    pruned = dict(twin.named_parameters())["conv1.weight"].cpu()[~mask["conv1"]]
    assert bool((pruned == 0).all())


@pytest.mark.parametrize("here", DEVICES)
@pytest.mark.parametrize("there", DEVICES)
def test_a_training_may_go_on_on_another_device(
    here: str, there: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = build(lambda: ResNet(8, 10, widths=(4, 8, 8)), generator(0, "init"))
    exact = train(copy.deepcopy(network), splits(torch.device("cpu")), RECIPE, seed=0)
    disturb(monkeypatch, 5)
    with pytest.raises(Stopped):
        _train_on(here, network, Checkpoints(tmp_path, 0.0))
    disturb(monkeypatch, -1)
    found = _train_on(there, network, Checkpoints(tmp_path, 0.0))
    assert [epoch.epoch for epoch in found] == [0, 1]
    assert found[-1].train_loss == pytest.approx(exact[-1].train_loss, rel=1e-2)


def _train_on(device: str, network: nn.Module, checkpoints: Checkpoints) -> list[Epoch]:
    twin = copy.deepcopy(network).to(device)
    return train(twin, splits(torch.device(device)), RECIPE, seed=0, checkpoints=checkpoints)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("pruner", ["random", "lt", "snip", "grasp", "synflow"])
def test_runs_complete_on_every_device(run: Run, pruner: str, device: str, precision: str) -> None:
    data = ["pruner.samples_per_class=2"] if pruner in ("snip", "grasp") else []
    record = run(
        f"pruner={pruner}", *data, f"device={device}", f"training.precision={precision}",
        "allow_dead=true", "training.epochs=1",
    )  # fmt: skip
    assert record["status"] == "completed"


def test_auto_takes_a_gpu_where_there_is_one() -> None:
    best = "cuda" if torch.cuda.is_available() else "cpu"
    if not torch.backends.mps.is_available():
        assert choose("auto").type == best


def test_a_device_that_is_not_there_is_named() -> None:
    for name in ("cuda:99", "tpu", "meta"):
        with pytest.raises(ConfigError, match=f"device={name}: "):
            choose(name)


def test_every_pruner_is_listed_above_or_is_like_one_that_is() -> None:
    alike = {"dense", "magnitude", "imp", "hybrid", "from_checkpoint"}  # no computing of their own
    assert set(options("pruner")) == {"random", "lt", "snip", "grasp", "synflow"} | alike
