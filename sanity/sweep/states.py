"""Where each job of a sweep stands, from its record, the store and the cluster's queue."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from sanity.core import locks
from sanity.core.files import printable, read_json
from sanity.stages.stage import StageId
from sanity.sweep import scheduler
from sanity.sweep.plan import Job, Needed
from sanity.sweep.scheduler import Active, Poll
from sanity.sweep.sweep import Sweep

Word = Literal["done", "running", "pending", "failed", "missing"]
WORDS: tuple[Word, ...] = ("done", "running", "pending", "failed", "missing")
"""``missing``: neither run nor submitted yet. The same command again starts it."""


TAIL = 4096  # bytes; a line of figures has a few hundred


@dataclass(frozen=True)
class Position:
    """The last epoch that has ended: its stage, its number from 1, its seconds, the accuracy."""

    stage: str
    epoch: int
    seconds: float
    accuracy: float


@dataclass(frozen=True)
class State:
    """A job's standing; ``why`` says what it is at, waits for or failed of, ``log`` where to look.

    ``position`` is the last epoch that has ended of a job that runs, where that was looked up.
    """

    job: Job
    word: Word
    why: str = ""
    log: Path | None = None
    metrics: Mapping[str, Any] = field(default_factory=dict)
    position: Position | None = None


class Watch:
    """Looks at a sweep again and again; what is done is not read twice."""

    def __init__(self, sweep: Sweep) -> None:
        self.sweep = sweep
        self._done: dict[int, State] = {}

    def look(self, poll: Poll | None = None) -> list[State]:
        """The state of every job, by its files and what its scheduler knows (None: asked now)."""
        poll = poll or scheduler.of(self.sweep).poll()
        present = {path.name for path in self.sweep.directory.iterdir()}
        evidence = _Evidence(self.sweep, poll, present)
        found = []
        for job in self.sweep.plan.jobs:
            state = self._done.get(job.number) or evidence.of(job)
            if state.word == "done":
                self._done[job.number] = state
            elif poll.unknown and job.number in poll.submitted and state.word != "running":
                state = replace(state, word="missing", why=poll.unknown)
            found.append(state)
        return found


def look(sweep: Sweep) -> list[State]:
    """How the jobs of a sweep stand, now."""
    return Watch(sweep).look()


def count(states: Sequence[State]) -> dict[Word, int]:
    """How many jobs stand where."""
    return {word: sum(state.word == word for state in states) for word in WORDS}


def log_in(directory: Path) -> Path | None:
    """The file in which a run itself tells what happens."""
    paths = (directory / "output.log", directory / "run.log")
    return next((path for path in paths if path.exists()), None)


@dataclass(frozen=True)
class _Evidence:
    """What is known of a sweep's jobs at one moment; ``present`` are names in its directory."""

    sweep: Sweep
    poll: Poll
    present: set[str]

    def of(self, job: Job) -> State:
        """The state of a job."""
        directory = self.sweep.directory_of(job)
        there = job.directory.split("/")[0] in self.present
        log = self.poll.log(job.number) or log_in(directory)
        record = _record(directory) if there else None
        # One that ran on older code has other keys than those that were planned.
        is_of_job = record and (not job.stages or job.stages[-1].key in record.keys)
        if record and record.status == "completed" and is_of_job:
            return State(job, "done", log=log, metrics=record.metrics)
        if active := self.poll.active.get(job.number):
            if active.runs:
                return State(job, "running", log=log)
            return State(job, "pending", *self._wait(job, active, log))
        if there and is_running(directory):
            return State(job, "running", log=log)
        if record and record.status == "failed":
            return State(job, "failed", record.reason, log)
        for key in self.sweep.plan.needs(job):
            if key in self._failed_stages:
                return State(job, "failed", *self._failed_stages[key])
        if job.number in self.poll.submitted:
            return State(job, "failed", self.poll.why_ended(job.number), log)
        return State(job, "missing", "was stopped before it had ended" if there else "", log)

    @cached_property
    def _failed_stages(self) -> dict[str, tuple[str, Path | None]]:
        """The shared stages computed by themselves that failed, by key: why, and the log."""
        failed = {}
        for key, needed in self.sweep.plan.shared.items():
            directory = self.sweep.stage_directory(needed.stage)
            if key in self.poll.active or in_store(self.sweep.store_dir, needed.stage):
                continue
            record = _record(directory)
            if (record is None and key not in self.poll.submitted) or is_running(directory):
                continue
            if record and record.status == "completed":  # the store has lost it since
                continue
            reason = record.reason if record else self.poll.why_ended(key)
            why = f"its {needed.stage.name} {key} failed: {reason}"
            failed[key] = (why, self._log_of_stage(key))
        return failed

    def _wait(self, job: Job, active: Active, log: Path | None) -> tuple[str, Path | None]:
        """Why a job is not started yet, and where to look: also at the stage that it waits for."""
        for key in self.sweep.plan.needs(job) if active.for_stage else ():
            stage = self.poll.active.get(key)
            name = f"{self.sweep.plan.shared[key].stage.name} {key}"
            if stage and stage.runs:
                return f"for its {name}, which is running", self._log_of_stage(key)
            if stage and not stage.is_ordinary:
                return f"for its {name}: {stage.why}", log
        return active.why, log

    def _log_of_stage(self, key: str) -> Path | None:
        directory = self.sweep.stage_directory(self.sweep.plan.shared[key].stage)
        return self.poll.log(key) or log_in(directory)


def in_store(store_dir: Path, stage: StageId) -> bool:
    """Whether the store holds the stage's result (which is verified when it is used)."""
    return (store_dir / stage.kind / stage.key / "manifest.json").exists()


def missing(sweep: Sweep, jobs: Sequence[Job]) -> dict[str, Needed]:
    """The shared stages that ``jobs`` need and the store lacks, by key, in order."""
    needed = {key: sweep.plan.shared[key] for key in sweep.plan.needs(*jobs)}
    return {key: one for key, one in needed.items() if not in_store(sweep.store_dir, one.stage)}


def is_running(directory: Path) -> bool:
    """Whether a run is at work in ``directory`` now, as far as this user can see."""
    try:
        return locks.is_held(directory / ".lock")
    except OSError:  # another user's, who alone may take the lock
        return False


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


@dataclass(frozen=True)
class _Record:
    """What a job's record says of how it ended; ``keys`` are those of its stages."""

    status: str
    reason: str
    keys: set[str]
    metrics: Mapping[str, Any]


def _record(directory: Path) -> _Record | None:
    """The record of a job, as far as it is one: its files may be damaged."""
    try:
        record = printable(read_json(directory / "record.json"))
        stages, metrics = record.get("stages", {}), record.get("metrics", {})
        keys = {str(stage["key"]) for stage in stages.values()}
        return _Record(str(record["status"]), str(record.get("reason", "")), keys, {**metrics})
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
