"""Clocks that jump: nothing that is computed, kept or removed depends on them."""

import random
import time
from pathlib import Path

import pytest
from conftest import Run
from resuming import Stopped, assert_same, disturb, metrics, results

from sanity.training.checkpoint import Checkpoints

YEARS = 10 * 365 * 86400
SMALL = ("pruner=lt", "training.epochs=3", "dataset.crop_padding=1", "dataset.flip=true")


@pytest.fixture
def jumping(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every look at the clock finds it up to ten years away."""
    now, chance = time.time(), random.Random(0)
    monkeypatch.setattr(time, "time", lambda: now + chance.uniform(-YEARS, YEARS))
    monkeypatch.setattr(time, "time_ns", lambda: int(time.time() * 1e9))


@pytest.mark.usefixtures("jumping")
def test_a_run_and_its_resumption_do_not_mind(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    disturb(monkeypatch, 14)
    with pytest.raises(Stopped):
        run(*SMALL, "checkpoint_every=0")
    disturb(monkeypatch, -1)
    broken = run(*SMALL, "checkpoint_every=0")
    monkeypatch.setenv("SANITY_STORE_DIR", str(tmp_path / "another_store"))
    whole = run(*SMALL)
    assert_same(results(broken), results(whole))
    assert metrics(broken["directory"]) == metrics(whole["directory"])
    for record in (broken, whole):
        assert all(0 <= stage["seconds"] < 60 for stage in record["stages"].values())


@pytest.mark.usefixtures("jumping")
def test_checkpoints_are_due_when_they_are(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, 0.2)
    begin = time.monotonic()
    while not checkpoints.due():
        time.sleep(0.01)
    assert 0.2 <= time.monotonic() - begin < 5
