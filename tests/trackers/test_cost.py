"""What showing an epoch costs, beside training it: less than a hundredth."""

import json
import os
import statistics
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import Compose

from sanity import pipeline
from sanity.trackers.base import Ending, Tracker, Training
from sanity.trackers.tensorboard import TensorBoard
from sanity.trackers.wandb import Wandb

EPOCHS = 200


@pytest.mark.slow
def test_an_epoch_costs_less_than_a_hundredth_of_the_quickstarts(
    tmp_path: Path, configure: Compose, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path))
    cfg = configure("pruner=random", "ratio.sparsity=0.99", "training.epochs=3", "device=cpu")
    figures = _epochs(cfg, tmp_path)
    training = statistics.median(one["seconds"] for one in figures)
    costs = {}
    for tracker in (Wandb(dir=str(tmp_path), mode="offline"), TensorBoard(dir=str(tmp_path))):
        shares = [_cost(tracker, figures[-1], number) / training for number in range(3)]
        costs[tracker.name] = statistics.median(shares)
        print(f"{tracker.name}: {costs[tracker.name]:.3%} of an epoch of {training:.2f} s")
    assert max(costs.values()) < 0.01


def _epochs(cfg: Any, directory: Path) -> list[dict[str, Any]]:
    pipeline.run(cfg, directory)
    return [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]


def _cost(tracker: Tracker, figures: dict[str, Any], number: int) -> float:
    """CPU seconds an epoch, of this process's threads and those it has started since."""
    told = Training(
        f"ticket-{number}", "train_ticket", "k" * 20, "ticket", "n", None, (), {}, {}, True
    )
    curve = tracker.open(told)
    start = _cpu()
    for epoch in range(EPOCHS):
        curve.add(figures | {"epoch": epoch})
    time.sleep(0.5)  # for those who write in threads or processes of their own
    spent = _cpu() - start
    curve.finish(Ending("completed", {}))
    return spent / EPOCHS


def _cpu() -> float:
    """The CPU seconds of this process and of its children that live."""
    tick = os.sysconf("SC_CLK_TCK")
    children = 0.0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(") ", 1)[1].split()
        except OSError:  # it has just ended
            continue
        if int(fields[1]) == os.getpid():
            children += (int(fields[11]) + int(fields[12])) / tick
    return time.process_time() + children
