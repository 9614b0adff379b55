"""Whole runs that are broken off in their trainings: the next one ends as if they were not."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
from conftest import TINY, Compose, Run, reused
from resuming import Stopped, assert_same, disturb, metrics, results

from sanity import pipeline
from sanity.core.errors import StoreError, TrainingError
from sanity.record import record as record_module
from sanity.record.record import exclusive, is_running
from sanity.store import store
from sanity.training.checkpoint import Checkpoints

# Augmented, and five steps an epoch: 15 a training.
RECIPE = ("dataset.crop_padding=1", "dataset.flip=true", "training.batch_size=32")
SMALL = (*RECIPE, "training.epochs=3", "checkpoint_every=0")

CASES = {
    "lt": ["pruner=lt"],
    "lt_validated": ["pruner=lt", "dataset.validation_size=30", "training.precision=bf16"],
    "hybrid": ["pruner=hybrid"],
    "imp": ["pruner=imp", "pruner.rounds=2"],
    "imp_learning_rate": ["pruner=imp", "pruner.rounds=2", "rewind=learning_rate"],
    "epoch": ["pruner=lt", "rewind=epoch", "rewind.epoch=1"],
    "corrupted": ["pruner=lt", "sanity_check=corrupted_data"],
}


def persist(run: Run, monkeypatch: pytest.MonkeyPatch, *overrides: str) -> dict[str, Any]:
    """Break the run off after a random number of steps, again and again until it gets through."""
    chance = random.Random(" ".join(overrides))
    for attempt in range(50):
        disturb(monkeypatch, chance.randrange(2, 14))
        try:
            record = run(*overrides)
        except Stopped:
            continue
        assert attempt > 1
        disturb(monkeypatch, -1)
        return record
    raise AssertionError("it never got through")


def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SANITY_STORE_DIR", str(tmp_path / "another_store"))


@pytest.mark.parametrize("name", CASES)
def test_a_run_broken_off_at_any_steps_ends_in_the_same_bits(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    broken = persist(run, monkeypatch, *SMALL, *CASES[name])
    elsewhere(monkeypatch, tmp_path)
    whole = run(*SMALL, *CASES[name])
    assert reused(whole) == set()
    assert_same(results(broken), results(whole))
    assert broken["metrics"] == whole["metrics"]
    assert broken["ticket"] == whole["ticket"]
    assert metrics(broken["directory"]) == metrics(whole["directory"])
    assert "snapshot" not in broken["stages"]
    assert list((Path(broken["config"]["store_dir"]) / ".work").iterdir()) == []


def test_a_snapshot_goes_on_too(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    rewind = ("pruner=lt", "rewind=epoch", "rewind.epoch=2", "until=rewind")
    run(*SMALL, "pruner=lt", "until=train_dense")
    disturb(monkeypatch, 7)
    with pytest.raises(Stopped):
        run(*SMALL, *rewind)
    steps = count_steps(monkeypatch)
    broken = run(*SMALL, *rewind)
    assert len(steps) == 10 - 6
    elsewhere(monkeypatch, tmp_path)
    run(*SMALL, "pruner=lt", "until=train_dense")
    whole = run(*SMALL, *rewind)
    assert not whole["stages"]["snapshot"]["reused"]
    assert_same(results(broken), results(whole))
    assert metrics(broken["directory"]) == metrics(whole["directory"])


def test_weights_that_another_run_did_not_remember_are_found_again(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The run that goes on wants weights of an epoch that the first one passed without a look."""
    disturb(monkeypatch, 12)
    with pytest.raises(Stopped):
        run(*SMALL, "pruner=lt")
    late = run(*SMALL, *CASES["epoch"])
    assert "snapshot" in late["stages"]
    elsewhere(monkeypatch, tmp_path)
    early = run(*SMALL, *CASES["epoch"])
    assert "snapshot" not in early["stages"]
    assert late["metrics"] == early["metrics"]


def test_checkpoints_are_rare_by_default(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    saves: list[int] = []
    monkeypatch.setattr(Checkpoints, "save", lambda self, state: saves.append(state.step))
    run("pruner=random")
    assert saves == []
    run("pruner=random", "checkpoint_every=0", "seed=1")
    assert saves != []


def test_a_training_that_fails_leaves_no_checkpoints(run: Run, tmp_path: Path) -> None:
    """They would hold the loss that is no number, and every later run would meet it again."""
    with pytest.raises(TrainingError):
        run(*SMALL, "pruner=random", "training.lr=1e30")
    config = json.loads((tmp_path / "run0" / "record.json").read_text())["config"]
    assert list((Path(config["store_dir"]) / ".work").iterdir()) == []


def test_a_full_store_keeps_the_checkpoints(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(store, "seal", full)
        with pytest.raises(StoreError, match="No space left"):
            run(*SMALL, "pruner=lt")
    disturb(monkeypatch, 1)  # there is nothing left to train of the dense network
    with pytest.raises(Stopped):
        run(*SMALL, "pruner=lt")
    record = json.loads((tmp_path / "run1" / "record.json").read_text())
    assert set(record["stages"]) == {"train_dense", "prune", "rewind"}
    assert not record["stages"]["train_dense"]["reused"]


def full(*args: Any) -> None:
    raise OSError(28, "No space left on device")


def count_steps(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    steps: list[int] = []

    def count() -> None:
        steps.append(1)
        disturb(monkeypatch, 1, count)

    disturb(monkeypatch, 1, count)
    return steps


def test_a_run_that_is_started_again_in_its_directory_tells_its_story_once(
    configure: Compose, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What a requeued job does."""
    cfg = configure(*TINY, *SMALL, "pruner=lt")
    disturb(monkeypatch, 22)  # in the ticket's second epoch
    with pytest.raises(Stopped):
        pipeline.run(cfg, tmp_path)
    before = metrics(tmp_path)
    assert [line["stage"] for line in before] == ["train_dense"] * 3 + ["train_ticket"]
    assert json.loads((tmp_path / "record.json").read_text())["status"] == "failed"
    pipeline.run(cfg, tmp_path)
    after = metrics(tmp_path)
    assert [line["epoch"] for line in after] == [0, 1, 2, 0, 1, 2]
    assert after[:4] == before
    assert json.loads((tmp_path / "record.json").read_text())["status"] == "completed"


def test_two_runs_are_never_at_work_in_one_directory(
    configure: Compose, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(record_module, "PATIENCE", 0)
    cfg = configure(*TINY, "pruner=random")
    assert not is_running(tmp_path)
    assert list(tmp_path.iterdir()) == []
    with exclusive(tmp_path):
        assert is_running(tmp_path)
        with pytest.raises(StoreError, match=f"another run is at work in {tmp_path}$"):
            pipeline.run(cfg, tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == [".lock"]
    assert not is_running(tmp_path)
    pipeline.run(cfg, tmp_path)
    assert not is_running(tmp_path)


def test_a_run_directory_that_cannot_be_written_is_one_line(
    configure: Compose, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"run's directory .*file cannot be written"):
        pipeline.run(configure(*TINY), tmp_path / "file")
