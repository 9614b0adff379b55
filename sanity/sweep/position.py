"""How far a run is that is at work now, from the ``metrics.jsonl`` in its directory."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

from sanity.core.files import printable

TAIL = 4096  # bytes; a line has a few hundred


@dataclass(frozen=True)
class Position:
    """The last epoch that has ended: its stage, its number from 1, its seconds, the accuracy."""

    stage: str
    epoch: int
    seconds: float
    accuracy: float


def position(directory: Path) -> Position | None:
    """Where the run in ``directory`` stands; None before its first epoch has ended."""
    try:
        with (directory / "metrics.jsonl").open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL))
            whole = file.read().rpartition(b"\n")[0]  # the last line may be half-written
        line = printable(json.loads(whole.rpartition(b"\n")[2]))
        stage, epoch = str(line["stage"]), int(line["epoch"]) + 1
        return Position(stage, epoch, float(line["seconds"]), float(line["test_accuracy"]))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
