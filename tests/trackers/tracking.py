"""What tests of trackers share: a command in a process of its own, and offline runs read back."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import processes
from conftest import TINY
from processes import Process

from sanity.core.config import PROJECT

OURS = ("record.json", "metrics.jsonl")


def environment(place: Path, **more: str) -> dict[str, str]:
    """Of a process that keeps all of wandb's and TensorBoard's files below ``place``."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("WANDB_", "PYTEST"))}
    ours = {
        "HOME": str(place),
        "WANDB_DIR": str(place),
        "SANITY_TENSORBOARD_DIR": str(place / "tensorboard"),
        "WANDB_ERROR_REPORTING": "false",
        "OMP_NUM_THREADS": "1",
    }
    return kept | ours | more


def command(place: Path, *overrides: str) -> list[str]:
    """A tiny run in ``place``/run; a sweep lies where sweeps do."""
    where = [] if "-m" in overrides else [f"hydra.run.dir={place / 'run'}"]
    return [sys.executable, str(PROJECT / "run.py"), *TINY, *where, *overrides]


def call(place: Path, *overrides: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run it to its end, which must be a good one."""
    done = processes.run(command(place, *overrides), place, environment(place, **more))
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def kill(
    place: Path,
    *overrides: str,
    when: Callable[[], bool],
    number: signal.Signals = signal.SIGKILL,
    delay: float = 0.0,
    more: Mapping[str, str] | None = None,
) -> None:
    """Start a run, and send it a signal ``delay`` seconds after ``when`` is first true."""
    process = Process(command(place, *overrides), place, environment(place, **(more or {})))
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None and not when():
        time.sleep(0.02)
    time.sleep(delay)
    process.send_signal(number)
    process.wait(60)


def has_line(place: Path, text: str) -> bool:
    """Whether ``metrics.jsonl`` of the run in ``place`` has ``text`` in it yet."""
    lines = place / "run" / "metrics.jsonl"
    return lines.exists() and text in lines.read_text()


def metrics(directory: Path) -> dict[str, list[dict[str, Any]]]:
    """The epochs in ``metrics.jsonl``, by stage."""
    found: dict[str, list[dict[str, Any]]] = {}
    for line in (directory / "metrics.jsonl").read_text().splitlines():
        figures = json.loads(line)
        found.setdefault(figures.pop("stage"), []).append(figures)
    return found


class Offline:
    """An offline run of wandb's, read back from its file by wandb's own command."""

    def __init__(self, directory: Path) -> None:
        inspect = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(directory)]
        place = directory.parent.parent
        done = processes.run(inspect, place, environment(place))
        assert done.returncode == 0, done.stderr
        records = [json.loads(line) for line in done.stdout.splitlines()]
        self.directory = directory
        self.run = next(one["run"] for one in records if one["type"] == "run")
        self.rows = [_row(one["history"]) for one in records if one["type"] == "history"]
        told = [one["summary"] for one in records if one["type"] == "summary"]
        self.summary = {name: value for one in told for name, value in one["update"].items()}
        self.exits = [one["exit"] for one in records if one["type"] == "exit"]
        self.text = done.stdout

    @property
    def epochs(self) -> list[dict[str, Any]]:
        return [_ours(row) for row in self.rows if "epoch" in row]


def offline_runs(place: Path) -> list[Offline]:
    """All offline runs below ``place``, oldest first."""
    return [Offline(path) for path in sorted(place.glob("wandb/offline-run-*"))]


def _row(history: dict[str, Any]) -> dict[str, Any]:
    return dict(history.get("item", history))


def _ours(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if not name.startswith("_")}
