"""Where each job of a sweep stands, from its record, the store and the cluster's queue."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from sanity.files import is_locked
from sanity.sweep.book import Book
from sanity.sweep.cluster import Ticket
from sanity.sweep.keys import Stage
from sanity.sweep.plan import Job

Word = Literal["done", "running", "pending", "failed", "missing"]
WORDS: tuple[Word, ...] = ("done", "running", "pending", "failed", "missing")
"""``missing``: neither run nor submitted yet. The same command again starts it."""


UNKNOWN: dict[str, Any] = {"word": "missing", "why": "submitted; SLURM cannot be asked from here"}


@dataclass(frozen=True)
class State:
    """A job's standing; ``why`` says what it waits for or why it failed, ``log`` where to look."""

    job: Job
    word: Word
    why: str = ""
    log: Path | None = None
    metrics: Mapping[str, Any] = field(default_factory=dict)


class Watch:
    """Looks at a sweep again and again; what is done is not read twice."""

    def __init__(self, book: Book) -> None:
        self.book = book
        self._done: dict[int, State] = {}

    def look(
        self, queue: Mapping[str, Ticket] | None, ended: Mapping[str, str] | None = None
    ) -> list[State]:
        """The state of every job; ``queue`` and ``ended`` are what SLURM knows of its jobs.

        ``queue`` is None where SLURM cannot be asked: then only what has ended is known.
        """
        book = self.book
        ids = book.latest()
        unknown = queue is None
        queue, ended = queue or {}, ended or {}
        stages = {} if unknown else _failed_stages(book, ids, queue)
        present = {path.name for path in book.directory.iterdir()}
        found = []
        for job in book.plan.jobs:
            if job.number not in self._done:
                there = job.directory.split("/")[0] in present
                state = _state(book, job, ids.get(job.number), queue, ended, stages, there)
                if state.word != "done":
                    lost = unknown and job.number in ids and state.word != "running"
                    found.append(replace(state, **UNKNOWN) if lost else state)
                    continue
                self._done[job.number] = state
            found.append(self._done[job.number])
        return found


def count(states: Sequence[State]) -> dict[Word, int]:
    """How many jobs stand where."""
    return {word: sum(state.word == word for state in states) for word in WORDS}


def log_of(book: Book, identifier: str | None, directory: Path) -> Path | None:
    """The file in which to look for what happened to a job."""
    if identifier is not None:
        return book.cluster_directory / f"{identifier}_0_log.out"
    return next(
        (path for path in (directory / "output.log", directory / "run.log") if path.exists()), None
    )


def _state(
    book: Book,
    job: Job,
    identifier: str | None,
    queue: Mapping[str, Ticket],
    ended: Mapping[str, str],
    stages: Mapping[str, tuple[str, Path | None]],
    there: bool,
) -> State:
    directory = book.directory_of(job)
    log = log_of(book, identifier, directory)
    record = _record(directory) if there else None
    if record and record["status"] == "completed" and _is_of(record, job):
        return State(job, "done", log=log, metrics=record["metrics"])
    ticket = queue.get(identifier or "")
    if ticket is not None and ticket.active:
        word: Word = "pending" if ticket.state == "PENDING" else "running"
        return State(job, word, _waiting(ticket) if word == "pending" else "", log)
    if there and is_locked(directory / ".lock"):
        return State(job, "running", log=log)
    if record and record["status"] == "failed":
        return State(job, "failed", record["reason"], log)
    for key in book.plan.needs(job):
        if key in stages:
            return State(job, "failed", *stages[key])
    if identifier is not None:
        end = ticket.state if ticket else ended.get(identifier, "")
        return State(job, "failed", _end(end), log)
    if there:
        return State(job, "missing", "was stopped before it had ended", log)
    return State(job, "missing")


def _failed_stages(
    book: Book, ids: Mapping[int | str, str], queue: Mapping[str, Ticket]
) -> dict[str, tuple[str, Path | None]]:
    """The shared stages that were computed by themselves and failed, by key: why, and its log."""
    failed = {}
    for key, needed in book.plan.shared.items():
        directory = book.stage_directory(needed.stage)
        ticket = queue.get(ids.get(key, ""))
        started = key in ids or directory.exists()
        if not started or (ticket and ticket.active) or is_locked(directory / ".lock"):
            continue
        record = _record(directory)
        if in_store(book.store_dir, needed.stage) or (key not in ids and record is None):
            continue
        reason = record["reason"] if record and record["status"] == "failed" else "ended early"
        log = log_of(book, ids.get(key), directory)
        failed[key] = (f"its {needed.stage.name} {key} failed: {reason}", log)
    return failed


def in_store(store_dir: Path, stage: Stage) -> bool:
    """Whether the store holds the stage's result (which is verified when it is used)."""
    return (store_dir / stage.stage / stage.key / "manifest.json").exists()


def _record(directory: Path) -> dict[str, Any] | None:
    try:
        record = json.loads((directory / "record.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) and "status" in record else None


def _is_of(record: Mapping[str, Any], job: Job) -> bool:
    """Whether the record is of the job as planned, not of one that ran on older code."""
    keys = {stage["key"] for stage in record["stages"].values()}
    return not job.stages or job.stages[-1].key in keys


def _waiting(ticket: Ticket) -> str:
    reasons = {
        "Dependency": "for the stages that it goes on from",
        "JobArrayTaskLimit": "for its turn (array_parallelism)",
        "JobHeldUser": "held by its user",
        "BeginTime": "to be started again",
        "None": "",
    }
    return reasons.get(ticket.reason, ticket.reason)


def _end(state: str) -> str:
    words = {
        "": "ended without a record",
        "COMPLETED": "ended without a record",
        "OUT_OF_MEMORY": "out of memory (raise hydra.launcher.mem_gb)",
        "TIMEOUT": "out of time (raise hydra.launcher.timeout_min)",
        "NODE_FAIL": "its node failed",
    }
    word = state.split(" ")[0].rstrip("+")
    return words.get(word, f"{word.lower()} before it had ended")
