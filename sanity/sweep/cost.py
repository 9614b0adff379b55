"""What a sweep will cost: stages to compute, epochs, and time where the store knows like ones."""

import json
import os
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from sanity.sweep.keys import TRAINING, Stage
from sanity.sweep.plan import Job, Plan
from sanity.sweep.states import in_store

SAMPLE = 300  # stored results of a stage that are looked at for their time


@dataclass(frozen=True)
class Row:
    """The stages of one kind: asked for by jobs, distinct, stored, and still to be computed."""

    stage: str
    asked: int
    distinct: int
    stored: int
    epochs: int

    @property
    def missing(self) -> int:
        return self.distinct - self.stored

    @property
    def trains(self) -> bool:
        return self.stage in TRAINING


@dataclass(frozen=True)
class Cost:
    """``seconds`` is the time of all missing training, one after another; None if unknown."""

    rows: tuple[Row, ...]
    seconds: float | None
    samples: int

    def estimate(self) -> str:
        """The cost in a sentence."""
        epochs = sum(row.epochs for row in self.rows)
        if not epochs:
            return "Nothing is left to train."
        text = f"To train: {epochs:,} epochs"
        if self.seconds is None:
            return f"{text}. No such training is in the store yet, so its time is not known."
        return (
            f"{text}, about {duration(self.seconds)} one after another "
            f"(by {self.samples} like ones in the store)."
        )


def cost_of(plan: Plan, store_dir: Path) -> Cost:
    """Count what the plan's jobs share and lack, and look in the store how long like ones took."""
    users: dict[str, tuple[Stage, Job]] = {}
    asked: dict[str, int] = {}
    for job in plan.jobs:
        for stage in job.stages:
            asked[stage.stage] = asked.get(stage.stage, 0) + 1
            users.setdefault(stage.key, (stage, job))
    missing = {key for key, (stage, _) in users.items() if not in_store(store_dir, stage)}
    rows = []
    for kind in asked:
        keys = [key for key, (stage, _) in users.items() if stage.stage == kind]
        epochs = sum(users[key][1].epochs_of(users[key][0]) for key in keys if key in missing)
        stored = sum(key not in missing for key in keys)
        trained = epochs if kind in TRAINING else 0
        rows.append(Row(kind, asked[kind], len(keys), stored, trained))
    return Cost(tuple(rows), *_time([users[key] for key in missing], store_dir))


def duration(seconds: float) -> str:
    """A time as one says it."""
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 1.5 * length:
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds:.0f} seconds"


def _time(missing: Sequence[tuple[Stage, Job]], store_dir: Path) -> tuple[float | None, int]:
    """The time of the missing training by the median epoch of like results, and their number."""
    known = {kind: list(_seconds_per_epoch(store_dir / kind)) for kind in TRAINING}
    total, samples = 0.0, 0
    for stage, job in missing:
        if not stage.trains:
            continue
        like = [
            seconds for kind in TRAINING for name, seconds in known[kind] if name == job.workload
        ]
        if not like:
            return None, 0
        total += statistics.median(like) * job.epochs_of(stage)
        samples = max(samples, len(like))
    return total, samples


def _seconds_per_epoch(directory: Path) -> Iterable[tuple[str, float]]:
    """What some stored trainings were of, and how long an epoch of them took."""
    if not directory.is_dir():
        return
    with os.scandir(directory) as entries:
        for entry in islice(entries, SAMPLE):
            try:
                text = (Path(entry.path) / "manifest.json").read_text(encoding="utf-8")
                manifest = json.loads(text)
                epochs = manifest["facts"]["epochs"]
                yield manifest["facts"]["workload"], statistics.median(e["seconds"] for e in epochs)
            except (OSError, ValueError, KeyError, statistics.StatisticsError):
                continue
