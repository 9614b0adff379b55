"""Sweeps on the disk whose jobs a test lets stand wherever it wants, without any training."""

import json
from pathlib import Path

from sanity.stages.stage import StageId
from sanity.sweep.plan import Job, Plan
from sanity.sweep.sweep import Sweep

EPOCHS, START = 10, 4


def job(number: int, dense: str) -> Job:
    """Train a dense network for ten epochs, prune it, and its ticket for the last six."""
    stages = (
        StageId("train_dense", "train_dense", dense),
        StageId("prune", "prune", f"mask{number}"),
        StageId("train_ticket", "train_ticket", f"ticket{number}"),
    )
    names, choices = (f"seed={number}",), {"rewind": "init"}
    return Job(number, names, str(number), stages, choices, 0.9, 0, EPOCHS, "w", START)


def sweep_in(place: Path) -> Sweep:
    """Four jobs on two dense networks."""
    plan = Plan("four", tuple(job(number, "ab"[number % 2]) for number in range(4)))
    directory, store = place / "sweep", place / "store"
    sweep = Sweep(directory, plan, "identity", "name", store, "local", (), None, None, (), "now")
    sweep.write()
    return sweep


def store(sweep: Sweep, stage: str, key: str) -> None:
    """Let the store have a stage's result."""
    entry = sweep.store_dir / stage / key
    entry.mkdir(parents=True)
    (entry / "manifest.json").touch()


def reach(directory: Path, stage: str, first: int, last: int, seconds: float = 2.0) -> None:
    """Let a run have told the epochs from ``first`` up to ``last``, counted from 1."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "metrics.jsonl").open("a", encoding="utf-8") as file:
        for epoch in range(first - 1, last):
            line = {"stage": stage, "epoch": epoch, "seconds": seconds, "test_accuracy": 91.5}
            file.write(json.dumps(line) + "\n")
