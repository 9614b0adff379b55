"""Where each job of a sweep stands, from its record, the store and the cluster's queue."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from sanity.core import locks
from sanity.core.files import printable, read_json
from sanity.stages.stage import StageId
from sanity.sweep.plan import Job
from sanity.sweep.position import Position
from sanity.sweep.slurm import setup_lines, waits
from sanity.sweep.slurm.cluster import QueuedJob
from sanity.sweep.slurm.submitted import log_file
from sanity.sweep.sweep import Sweep

Word = Literal["done", "running", "pending", "failed", "missing"]
WORDS: tuple[Word, ...] = ("done", "running", "pending", "failed", "missing")
"""``missing``: neither run nor submitted yet. The same command again starts it."""


NO_RECORD = "ended without a record"
ENDS = {
    "": NO_RECORD,
    "COMPLETED": NO_RECORD,
    "OUT_OF_MEMORY": "out of memory (raise hydra.launcher.mem_gb)",
    "TIMEOUT": "out of time (raise hydra.launcher.timeout_min)",
    "NODE_FAIL": "its node failed",
}
UNKNOWN: dict[str, Any] = {"word": "missing", "why": "submitted; SLURM cannot be asked from here"}


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

    def look(
        self, queue: Mapping[str, QueuedJob] | None, ended: Mapping[str, str] | None = None
    ) -> list[State]:
        """The state of every job; ``queue`` and ``ended`` are what SLURM knows of its jobs.

        ``queue`` is None where SLURM cannot be asked: then only what has ended is known.
        """
        present = {path.name for path in self.sweep.directory.iterdir()}
        evidence = _Evidence(self.sweep, self.sweep.latest(), queue or {}, ended or {}, present)
        found = []
        for job in self.sweep.plan.jobs:
            state = self._done.get(job.number) or evidence.of(job)
            if state.word == "done":
                self._done[job.number] = state
            elif queue is None and job.number in evidence.ids and state.word != "running":
                state = replace(state, **UNKNOWN)
            found.append(state)
        return found


def count(states: Sequence[State]) -> dict[Word, int]:
    """How many jobs stand where."""
    return {word: sum(state.word == word for state in states) for word in WORDS}


def log_of(sweep: Sweep, identifier: str | None, directory: Path) -> Path | None:
    """The file in which to look for what happened to a job."""
    if identifier is not None:
        return log_file(sweep.cluster_directory, identifier)
    return next(
        (path for path in (directory / "output.log", directory / "run.log") if path.exists()), None
    )


@dataclass(frozen=True)
class _Evidence:
    """What is known of a sweep's jobs at one moment.

    ``ids`` are SLURM's, by job number or stage key; ``present`` are the names in the sweep's
    directory.
    """

    sweep: Sweep
    ids: Mapping[int | str, str]
    queue: Mapping[str, QueuedJob]
    ended: Mapping[str, str]
    present: set[str]

    def of(self, job: Job) -> State:
        """The state of a job."""
        directory, identifier = self.sweep.directory_of(job), self.ids.get(job.number)
        there = job.directory.split("/")[0] in self.present
        log = log_of(self.sweep, identifier, directory)
        record = _record(directory) if there else None
        if record and record.status == "completed" and _is_of(record, job):
            return State(job, "done", log=log, metrics=record.metrics)
        if ticket := self._active(job.number):
            word: Word = "pending" if ticket.state == "PENDING" else "running"
            if word == "pending":
                return State(job, word, *self._wait(job, ticket, log))
            return State(job, word, log=log)
        if there and is_running(directory):
            return State(job, "running", log=log)
        if record and record.status == "failed":
            return State(job, "failed", record.reason, log)
        for key in self.sweep.plan.needs(job):
            if key in self._failed_stages:
                return State(job, "failed", *self._failed_stages[key])
        if identifier is not None:
            return State(job, "failed", self._end(job.number), log)
        return State(job, "missing", "was stopped before it had ended" if there else "", log)

    @cached_property
    def _failed_stages(self) -> dict[str, tuple[str, Path | None]]:
        """The shared stages computed by themselves that failed, by key: why, and the log."""
        failed = {}
        for key, needed in self.sweep.plan.shared.items():
            directory = self.sweep.stage_directory(needed.stage)
            if self._active(key) or in_store(self.sweep.store_dir, needed.stage):
                continue
            record = _record(directory)
            if (record is None and key not in self.ids) or is_running(directory):
                continue
            if record and record.status == "completed":  # the store has lost it since
                continue
            reason = record.reason if record else self._end(key)
            why = f"its {needed.stage.name} {key} failed: {reason}"
            failed[key] = (why, self._log_of_stage(key))
        return failed

    def _wait(self, job: Job, ticket: QueuedJob, log: Path | None) -> tuple[str, Path | None]:
        """Why a job is not started yet, and where to look: also at the stage that it waits for."""
        if ticket.reason == "Dependency":
            for key in self.sweep.plan.needs(job):
                stage, name = self._active(key), f"{self.sweep.plan.shared[key].stage.name} {key}"
                if stage and stage.state != "PENDING":
                    return f"for its {name}, which is running", self._log_of_stage(key)
                if stage and not waits.is_ordinary(stage.reason):
                    return f"for its {name}: {waits.explain(stage.reason)}", log
        return waits.explain(ticket.reason), log

    def _log_of_stage(self, key: str) -> Path | None:
        directory = self.sweep.stage_directory(self.sweep.plan.shared[key].stage)
        return log_of(self.sweep, self.ids.get(key), directory)

    def _active(self, subject: int | str) -> QueuedJob | None:
        ticket = self.queue.get(self.ids.get(subject, ""))
        return ticket if ticket and ticket.active else None

    def _end(self, subject: int | str) -> str:
        """How SLURM says that a job ended which left no word itself."""
        identifier = self.ids.get(subject, "")
        # An array that was cancelled before any of its tasks had started is one job.
        ticket = self.queue.get(identifier) or self.queue.get(identifier.split("_")[0])
        state = ticket.state if ticket else self.ended.get(identifier, "")
        word = state.split(" ")[0].rstrip("+")
        # A job that was cancelled or out of time in its setup has that to say, and nothing else.
        by_itself = word in ("", "COMPLETED", "FAILED")
        why = setup_lines.failure(self.sweep.cluster_directory, identifier) if by_itself else ""
        if why:
            return why
        return ENDS.get(word, f"{word.lower()} before it had ended")


def in_store(store_dir: Path, stage: StageId) -> bool:
    """Whether the store holds the stage's result (which is verified when it is used)."""
    return (store_dir / stage.kind / stage.key / "manifest.json").exists()


def is_running(directory: Path) -> bool:
    """Whether a run is at work in ``directory`` now, as far as this user can see."""
    try:
        return locks.is_held(directory / ".lock")
    except OSError:  # another user's, who alone may take the lock
        return False


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


def _is_of(record: _Record, job: Job) -> bool:
    """Whether the record is of the job as planned, not of one that ran on older code."""
    return not job.stages or job.stages[-1].key in record.keys
