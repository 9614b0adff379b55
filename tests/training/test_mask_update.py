"""A mask may move while its ticket trains: it is state, like weights and momentum."""

import copy
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Run
from resuming import Stopped, assert_same, disturb
from safetensors.torch import load_file
from torch import Tensor, nn
from trained import train

from sanity.core.errors import TrainingError
from sanity.datasets.base import Examples
from sanity.datasets.digits import Digits
from sanity.load import load
from sanity.networks.blueprint import blueprint
from sanity.networks.layers import prunable_weights
from sanity.pruners.magnitude import Magnitude
from sanity.pruning import masks
from sanity.pruning.footprint import footprint
from sanity.pruning.masks import Mask
from sanity.record.record import mask_digest
from sanity.trackers.training import describe
from sanity.training.checkpoint import Checkpoints
from sanity.training.engines.base import Engine
from sanity.training.engines.dense import Dense
from sanity.training.images import Images
from sanity.training.loop import Splits
from sanity.training.mask_update import MaskUpdate, Moment
from sanity.training.recipe import Recipe

RECIPE = Recipe(epochs=2, batch_size=16, lr=0.05, milestones=[1.0])
STEPS = 10  # 5 an epoch
CPU = torch.device("cpu")


class Swap(MaskUpdate):
    """After every second step a kept weight a layer goes, and a pruned one comes back."""

    def __init__(self) -> None:
        self.seen: list[Moment] = []

    def is_due(self, step: int, steps: int) -> bool:
        assert steps == STEPS
        return step % 2 == 0 and step < steps

    def update(self, moment: Moment) -> Mask:
        self.seen.append(moment)
        found = {}
        for name, keep in moment.mask.items():
            flat = keep.flatten().clone()
            assert moment.gradients()[name].shape == moment.weights[name].shape == keep.shape
            for value in (True, False) if keep.any() and not keep.all() else ():
                places = (keep.flatten() == value).nonzero().flatten()
                chosen = torch.randint(len(places), (), generator=moment.generator)
                flat[places[chosen]] = not value
            found[name] = flat.reshape(keep.shape)
        return found


@pytest.fixture
def splits() -> Splits:
    def images(count: int) -> Images:
        chance = torch.Generator().manual_seed(count)
        pixels = torch.randint(0, 17, (count, 8, 8, 1), generator=chance, dtype=torch.uint8)
        labels = torch.randint(0, 10, (count,), generator=chance)
        return Images(Examples(pixels, labels, 10), Digits(mean=[0.3], std=[0.4]), CPU)

    return Splits(images(70), None, images(20))


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, bias=False), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, 10)
    )


@pytest.fixture
def mask() -> Mask:
    chance = torch.Generator().manual_seed(1)
    return {
        "0": torch.rand((4, 1, 3, 3), generator=chance) < 0.5,
        "3": torch.rand((10, 144), generator=chance) < 0.1,
    }


def trained(network: nn.Module, splits: Splits, mask: Mask, **more: Any) -> dict[str, Tensor]:
    """The state dict and the mask that a copy's training ends with."""
    twin, engines = copy.deepcopy(network), list[Engine]()
    how = {"seed": 0, "mask": mask, "update": Swap(), "on_engine": engines.append, **more}
    train(twin, splits, RECIPE, **how)
    return twin.state_dict() | {f"mask {name}": keep for name, keep in engines[0].mask.items()}


def test_a_mask_moves_and_the_network_with_it(
    network: nn.Module, splits: Splits, mask: Mask
) -> None:
    before, swap = copy.deepcopy(mask), Swap()
    found = trained(network, splits, mask, update=swap)
    assert [moment.step for moment in swap.seen] == [2, 4, 6, 8]
    assert [moment.lr for moment in swap.seen] == pytest.approx([0.05, 0.05, 0.005, 0.005])
    for name in mask:
        assert torch.equal(mask[name], before[name]), "the caller's stays what it was"
        end, weight = found[f"mask {name}"], found[f"{name}.weight"]
        assert not torch.equal(end, before[name])
        assert end.sum() == before[name].sum()
        assert torch.equal(weight != 0, end)


def test_a_weight_that_comes_back_starts_at_0_without_momentum(
    network: nn.Module, splits: Splits, mask: Mask
) -> None:
    engine = Dense(network, RECIPE, mask)
    engine.begin(0.1)
    batches = list(splits.train.epoch(0, 0, 16))
    for x, y in batches[:3]:
        engine.step(x, y)
    inverted = {name: ~keep for name, keep in mask.items()}
    kept = {name: weight.detach().clone() for name, weight in prunable_weights(network).items()}
    engine.move(inverted)
    for name, weight in prunable_weights(network).items():
        assert bool((weight == 0).all())
        momentum = engine.optimizer.state[weight]["momentum_buffer"]
        assert bool((momentum[~mask[name]] == 0).all())
        assert bool((kept[name][mask[name]] != 0).any())
    engine.begin(0.1)
    gradients = engine.step(*batches[3]) and engine.gradients()
    for name, weight in prunable_weights(network).items():
        # The first step of a weight at 0 without momentum: -lr * gradient.
        torch.testing.assert_close(weight, -0.1 * gradients[name] * ~mask[name])


@pytest.mark.parametrize("step", range(1, STEPS))
def test_broken_off_anywhere_it_ends_in_the_same_bits(
    network: nn.Module,
    splits: Splits,
    mask: Mask,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    step: int,
) -> None:
    whole = trained(network, splits, mask)
    disturb(monkeypatch, step)
    with pytest.raises(Stopped):
        trained(network, splits, mask, checkpoints=Checkpoints(tmp_path, 0.0))
    disturb(monkeypatch, -1)
    assert_same(trained(network, splits, mask, checkpoints=Checkpoints(tmp_path, 0.0)), whole)


def test_what_is_seen_may_be_changed_without_harm(
    network: nn.Module, splits: Splits, mask: Mask
) -> None:
    """A mask that is edited in place, and goes on to be edited after it was given."""

    class InPlace(Swap):
        def update(self, moment: Moment) -> Mask:
            found = super().update(moment)
            for name, keep in found.items():
                moment.mask[name].copy_(keep)
            return moment.mask

    for name, tensor in trained(network, splits, mask).items():
        assert torch.equal(trained(network, splits, mask, update=InPlace())[name], tensor)


BIT = torch.ones(1, dtype=torch.bool)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda mask: {"0": mask["0"]},
        lambda mask: mask | {"4": BIT},
        lambda mask: mask | {"0": BIT},
        lambda mask: mask | {"0": mask["0"].float()},
    ],
)
def test_what_is_no_mask_of_the_same_layers_is_refused(
    network: nn.Module, splits: Splits, mask: Mask, wrong: Callable[[Mask], Mask]
) -> None:
    class Wrong(Swap):
        def update(self, moment: Moment) -> Mask:
            return wrong(moment.mask)

    with pytest.raises(TrainingError, match="moved to one that does not fit layer"):
        trained(network, splits, mask, update=Wrong())


class Late(Swap):
    """Once, half way."""

    def is_due(self, step: int, steps: int) -> bool:
        return step == steps // 2


def test_all_that_is_told_of_a_ticket_is_of_the_mask_it_ended_with(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Magnitude, "mask_update", lambda self: Late())
    record = run("pruner=magnitude", "rewind=init")
    ticket = load(Path(record["directory"]) / "record.json")
    pruned = masks.kept(ticket.mask)
    assert {layer["name"]: layer["kept"] for layer in record["ticket"]["layers"]} == pruned
    weights = prunable_weights(ticket.network)
    for name, keep in ticket.mask.items():
        assert bool((weights[name][~keep] == 0).all())
    assert record["ticket"]["digest"] == mask_digest(ticket.mask)
    again = partial(copy.deepcopy, ticket.network)
    outline = blueprint(ticket.network, (1, 8, 8))
    assert record["ticket"]["footprint"] == footprint(again, outline, ticket.mask, (1, 8, 8))
    before = load_file(
        Path(
            record["config"]["store_dir"],
            "prune",
            record["stages"]["prune"]["key"],
            "mask.safetensors",
        )
    )
    assert mask_digest(before) != mask_digest(ticket.mask)
    assert record["ticket"]["found"] == mask_digest(before)
    assert "ties" in record["ticket"]
    shown = describe(record, "train_ticket", "key", False).config["mask"]
    assert shown == {"key": record["stages"]["prune"]["key"], "sha256": mask_digest(before)}
