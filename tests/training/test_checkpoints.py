"""A training that is broken off anywhere goes on as if nothing had happened; damage is noticed."""

import copy
import errno
import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from damaging import flip_a_bit, truncate
from resuming import Stopped, assert_same, disturb
from torch import Tensor, nn
from trained import train

from sanity.core import console
from sanity.datasets.base import Examples
from sanity.datasets.digits import Digits
from sanity.training import checkpoint, loop
from sanity.training.checkpoint import Checkpoints
from sanity.training.images import Images
from sanity.training.loop import Splits
from sanity.training.progress import Epoch
from sanity.training.recipe import Recipe

RECIPE = Recipe(epochs=3, batch_size=16, lr=0.05, milestones=[2.0])
STEPS = 15  # 5 an epoch
CPU = torch.device("cpu")
Damage = Callable[[Path], None]


@pytest.fixture
def splits() -> Splits:
    """Augmented, so that a resumed epoch must find its way back into the draws."""
    return Splits(*(Images(examples(count), augmented(), CPU) for count in (70, 20, 30)))


def augmented() -> Digits:
    return Digits(crop_padding=1, flip=True, mean=[0.3], std=[0.4])


def examples(count: int) -> Examples:
    chance = torch.Generator().manual_seed(count)
    pixels = torch.randint(0, 17, (count, 8, 8, 1), generator=chance, dtype=torch.uint8)
    return Examples(pixels, torch.randint(0, 10, (count,), generator=chance), 10)


class Small(nn.Sequential):
    """With buffers of several types, as networks have them."""

    def __init__(self, width: int = 4) -> None:
        layers = (nn.Conv2d(1, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU())
        super().__init__(*layers, nn.Flatten(), nn.Linear(64 * width, 10))
        self.register_buffer("flags", torch.tensor([True, False]))
        self.register_buffer("rough", torch.ones(3, dtype=torch.bfloat16))


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(0)
    return Small()


@pytest.fixture
def mask() -> dict[str, Tensor]:
    chance = torch.Generator().manual_seed(1)
    return {"0": torch.rand((4, 1, 3, 3), generator=chance) < 0.5}


class Trainer:
    """Trains copies of one network, disturbed or not, and says what came of it."""

    def __init__(self, network: nn.Module, splits: Splits, mask: dict[str, Tensor]) -> None:
        self.network, self.splits, self.mask = network, splits, mask
        self.seen: list[Epoch] = []

    def __call__(self, checkpoints: Checkpoints | None = None, **more: Any) -> dict[str, Tensor]:
        twin, self.seen = copy.deepcopy(self.network), []
        recipe = more.pop("recipe", RECIPE)
        how = {"seed": 0, "mask": self.mask, "on_epoch": self.seen.append, **more}
        history = train(twin, self.splits, recipe, checkpoints=checkpoints, **how)
        assert history == self.seen
        return twin.state_dict()

    def figures(self) -> list[Epoch]:
        return [replace(epoch, seconds=0.0, images_per_second=0.0) for epoch in self.seen]


@pytest.fixture
def trainer(network: nn.Module, splits: Splits, mask: dict[str, Tensor]) -> Trainer:
    return Trainer(network, splits, mask)


class Sometimes(Checkpoints):
    """Saves at every third opportunity, so that some steps are lost and made again."""

    asked = 0

    def due(self) -> bool:
        self.asked += 1
        return self.asked % 3 == 0


@pytest.mark.parametrize("kind", [Checkpoints, Sometimes])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_broken_off_anywhere_it_ends_in_the_same_bits(
    trainer: Trainer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: type[Checkpoints],
    precision: Literal["fp32", "bf16"],
) -> None:
    recipe = replace(RECIPE, precision=precision, nesterov=precision == "bf16")
    whole, figures = trainer(recipe=recipe), trainer.figures()
    for step in random.Random(0).sample(range(1, STEPS), 6):
        directory = tmp_path / str(step)
        disturb(monkeypatch, step)
        with pytest.raises(Stopped):
            trainer(kind(directory, 0.0), recipe=recipe)
        disturb(monkeypatch, -1)
        assert_same(trainer(kind(directory, 0.0), recipe=recipe), whole)
        assert trainer.figures() == figures


def test_it_may_be_broken_off_again_and_again(
    trainer: Trainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, figures = trainer(start=1, shuffle=2), trainer.figures()
    attempts = 0
    while True:
        disturb(monkeypatch, 2)  # the second step is made, and lost
        attempts += 1
        try:
            found = trainer(Checkpoints(tmp_path, 0.0), start=1, shuffle=2)
            break
        except Stopped:
            assert attempts < 20
    assert attempts == 10  # of ten steps, one an attempt; the last one is not disturbed
    assert_same(found, whole)
    assert trainer.figures() == figures


def test_a_plain_optimiser_has_no_momentum_to_keep(
    trainer: Trainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = replace(RECIPE, momentum=0.0)
    whole = trainer(recipe=recipe)
    break_off(trainer, monkeypatch, tmp_path, recipe=recipe)
    assert_same(trainer(Checkpoints(tmp_path, 0.0), recipe=recipe), whole)


def test_the_log_says_once_where_it_goes_on(
    trainer: Trainer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    break_off(trainer, monkeypatch, tmp_path)
    with caplog.at_level("INFO"):
        trainer(Checkpoints(tmp_path, 0.0), label="train_dense")
    said = [record.message for record in caplog.records if record.name == loop.__name__]
    assert said == ["train_dense goes on at epoch 1, step 3"]


def test_a_resumed_epoch_counts_the_time_before(
    trainer: Trainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_off(trainer, monkeypatch, tmp_path)
    newest = max(tmp_path.glob("*.json"))
    content = json.loads(newest.read_text())
    del content["digest"]
    content["facts"]["seconds"] += 1000
    newest.write_text(json.dumps(content | {"digest": checkpoint.digest(content)}))
    trainer(Checkpoints(tmp_path, 0.0))
    assert [epoch.seconds > 1000 for epoch in trainer.seen] == [False, True, False]
    assert trainer.seen[1].images_per_second < 0.07  # 70 images


def test_they_are_due_by_time() -> None:
    assert Checkpoints(Path("unused"), 0.0).due()
    assert not Checkpoints(Path("unused"), 1000.0).due()
    assert not Checkpoints(Path("unused"), None).due()


def test_the_last_two_are_kept_and_nothing_else(
    trainer: Trainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.joinpath(".00000007.json-killed").touch()
    tmp_path.joinpath("00000009.safetensors").touch()
    break_off(trainer, monkeypatch, tmp_path)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert len(names) == 4
    assert {name.split(".")[1] for name in names} == {"json", "safetensors"}


@pytest.mark.parametrize("damage", [truncate, flip_a_bit, Path.unlink])
@pytest.mark.parametrize("suffix", ["json", "safetensors"])
@pytest.mark.parametrize("damaged", [1, 2])
def test_damage_costs_time_and_nothing_else(
    trainer: Trainer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    damage: Damage,
    suffix: str,
    damaged: int,
) -> None:
    whole, figures = trainer(), trainer.figures()
    break_off(trainer, monkeypatch, tmp_path)
    for path in sorted(tmp_path.glob(f"*.{suffix}"))[-damaged:]:
        damage(path)
    steps = count_steps(monkeypatch)
    found = trainer(Checkpoints(tmp_path, 1000.0))
    assert_same(found, whole)
    assert trainer.figures() == figures
    assert len(steps) == (STEPS if damaged == 2 else STEPS - 7)
    warnings = [record.message for record in caplog.records if record.levelname == "WARNING"]
    if damage is Path.unlink and suffix == "json":  # never finished, as far as one can tell
        assert warnings == []
    else:
        assert len(warnings) == 1
        assert ("anew" if damaged == 2 else "the one before") in warnings[0]


def test_one_of_another_network_is_refused(
    trainer: Trainer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    break_off(trainer, monkeypatch, tmp_path)
    trainer.network, trainer.mask = Small(width=5), {}
    whole = trainer()
    assert_same(trainer(Checkpoints(tmp_path, 1000.0)), whole)
    assert "do not fit the network" in caplog.text
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("writer", ["write_atomically", "write_json"])
def test_a_full_disk_is_one_warning_and_training_goes_on(
    trainer: Trainer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    writer: str,
) -> None:
    whole, figures = trainer(), trainer.figures()

    def full(*args: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoint, writer, full)
    assert_same(trainer(Checkpoints(tmp_path, 0.0)), whole)
    assert trainer.figures() == figures
    assert caplog.text.count("No space left on device") == 1
    assert list(tmp_path.glob("*.json")) == []


def test_remembered_weights_survive_and_damaged_ones_are_not_given_out(
    trainer: Trainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoints = Checkpoints(tmp_path, 0.0)
    weights = {"w": torch.arange(3.0)}

    def remember(epochs: int) -> None:
        if epochs == 1:
            checkpoints.keep("epoch_1", weights)
            weights["w"][0] = 7  # what is kept is a copy

    disturb(monkeypatch, 8)
    with pytest.raises(Stopped):
        trainer(checkpoints, on_weights=remember)
    again = Checkpoints(tmp_path, 0.0)
    assert again.kept("epoch_1") is None  # not before it is known which training goes on
    again.load(trainer.network)
    kept = again.kept("epoch_1")
    assert kept is not None
    assert torch.equal(kept["w"], torch.arange(3.0))
    assert again.kept("epoch_2") is None

    flip_a_bit(tmp_path / "kept-epoch_1.safetensors")
    last = Checkpoints(tmp_path, 0.0)
    last.load(trainer.network)
    assert last.kept("epoch_1") is None


def break_off(
    trainer: Trainer, monkeypatch: pytest.MonkeyPatch, directory: Path, **more: Any
) -> None:
    """Leave the checkpoints after 7 and 8 steps, epoch 1 at steps 2 and 3."""
    disturb(monkeypatch, 9)
    with pytest.raises(Stopped):
        trainer(Checkpoints(directory, 0.0), **more)
    disturb(monkeypatch, -1)


def count_steps(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    steps: list[int] = []
    original = checkpoint.nn.functional.cross_entropy

    def counted(logits: Tensor, y: Tensor, **more: Any) -> Tensor:
        if not more:  # evaluation sums
            steps.append(len(y))
        return original(logits, y, **more)

    monkeypatch.setattr(nn.functional, "cross_entropy", counted)
    return steps


def test_the_bar_starts_where_the_training_does(
    trainer: Trainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_off(trainer, monkeypatch, tmp_path)
    made: list[tuple[int, int]] = []
    original = console.bar

    def bar(label: str, steps: int, done: int = 0) -> Any:
        made.append((steps, done))
        return original(label, steps, done)

    monkeypatch.setattr(console, "bar", bar)
    trainer(Checkpoints(tmp_path, 1000.0))
    assert made == [(STEPS, 8)]
