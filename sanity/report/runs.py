"""The runs below some directories: read, counted, and those that are missing named."""

import json
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sanity.errors import ConfigError, SanityError, SweepError
from sanity.files import is_locked
from sanity.record import SCHEMA
from sanity.stats import criteria
from sanity.stats.criteria import Criteria
from sanity.sweep import book as books
from sanity.sweep.book import Book
from sanity.sweep.states import Watch

RECORD = "record.json"
STARTED = {"metrics.jsonl", ".hydra", ".lock"}  # what a run leaves before it has a record
GROUPS = ("dataset", "arch", "pruner", "ratio", "rewind", "sanity_check")
STAGES = "stages"  # below a sweep: stages computed by themselves, which are parts of its jobs
CODE = "code"  # below a sweep on a cluster: the code as it was submitted


@dataclass(frozen=True)
class Run:
    """A completed run, as its record tells it; ``metrics`` are in percent, losses aside."""

    directory: Path
    seed: int
    choices: Mapping[str, str]
    config: Mapping[str, Any]
    stages: Mapping[str, Mapping[str, Any]]
    metrics: Mapping[str, float]
    ticket: Mapping[str, Any] | None
    effect: Mapping[str, float]
    versions: Mapping[str, str]
    criteria: Criteria
    sweep: str | None = None

    @property
    def accuracy(self) -> float | None:
        """The last epoch's test accuracy; None of a run that trained no ticket."""
        return self.metrics.get("test_accuracy")

    @property
    def sparsity(self) -> float | None:
        """The prune ratio that was asked for, or else the one that the mask came with."""
        asked = self.config.get("ratio", {}).get("sparsity")
        found = asked if asked is not None else (self.ticket or {}).get("sparsity")
        return None if found is None else float(found)


@dataclass(frozen=True)
class Absent:
    """A run that has no result: ``word`` is failed, running, pending or missing."""

    directory: Path
    word: str
    why: str
    command: str = ""


@dataclass
class Collection:
    """All that was found; ``unreadable`` has a line for each record that could not be read."""

    runs: list[Run] = field(default_factory=list)
    absent: list[Absent] = field(default_factory=list)
    books: list[Book] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)


def collect(places: Sequence[Path]) -> Collection:
    """The runs in and below ``places``, each once; raises SanityError for a place without any."""
    found = Collection()
    seen: set[Path] = set()
    for place in places:
        here = [one for one in _directories(place) if _holds_something(one[1])]
        if not here:
            raise SanityError(f"{place}: has no run or sweep in it or below")
        for directory, names in here:
            if directory.resolve() not in seen:
                seen.add(directory.resolve())
                _look(found, directory, names)
    planned = {book.directory_of(job).resolve() for book in found.books for job in book.plan.jobs}
    found.absent = [one for one in found.absent if one.directory.resolve() not in planned]
    for book in found.books:
        found.absent += _absent_jobs(book)
    return found


def read(path: Path) -> Run | Absent:
    """The run of a ``record.json``; raises SanityError where it is none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, Mapping):
            raise ValueError("it is no object")
        if content["schema"] != SCHEMA:
            raise ValueError(f"schema {content['schema']}; this version reads {SCHEMA}")
        if content["status"] != "completed":
            return Absent(path.parent, str(content["status"]), str(content.get("reason", "")))
        return _run(path.parent, content)
    except OSError as error:
        raise SanityError(f"{path}: cannot be read ({error.strerror})") from error
    except ConfigError as error:
        raise SanityError(f"{path}: is damaged ({error})") from error
    except KeyError as error:
        raise SanityError(f"{path}: is damaged (it has no {error})") from error
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise SanityError(f"{path}: is damaged ({error})") from error


def epochs(run: Run, stage: str) -> list[dict[str, Any]]:
    """The figures of a stage's epochs, from ``metrics.jsonl``; none where the file is gone."""
    found = []
    try:
        with (run.directory / "metrics.jsonl").open(encoding="utf-8") as lines:
            for line in lines:
                figures = json.loads(line)
                if figures["stage"] == stage and _is_number(figures["test_accuracy"]):
                    found.append(figures)
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return found


def _directories(place: Path) -> Iterator[tuple[Path, set[str]]]:
    """Every directory in and below ``place`` with its names, but for those that hold no runs."""
    if place.name == RECORD:
        place = place.parent
    for directory, folders, files in os.walk(place):
        names = {*folders, *files}
        is_sweep = books.NAME in names
        skipped = {STAGES, CODE} if is_sweep else set()
        kept = (name for name in folders if name not in skipped and not name.startswith("."))
        folders[:] = sorted(kept, key=_natural)
        yield Path(directory), names


def _holds_something(names: set[str]) -> bool:
    return books.NAME in names or RECORD in names or names >= STARTED


def _natural(name: str) -> list[tuple[int, str]]:
    """Sorts job 2 before job 10."""
    return [(int(part or 0), text) for part, text in re.findall(r"(\d*)(\D*)", name)]


def _look(found: Collection, directory: Path, names: set[str]) -> None:
    if books.NAME in names:
        try:
            found.books.append(books.read(directory))
        except SweepError as error:
            found.unreadable.append(str(error))
    elif RECORD in names:
        try:
            one = read(directory / RECORD)
        except SanityError as error:
            found.unreadable.append(str(error))
        else:
            (found.runs if isinstance(one, Run) else found.absent).append(one)  # type: ignore[arg-type]
    else:
        running = is_locked(directory / ".lock")
        why = "" if running else "was stopped before it had ended"
        found.absent.append(Absent(directory, "running" if running else "missing", why))


def _absent_jobs(book: Book) -> list[Absent]:
    """A sweep's jobs that are not done; a cluster is not asked."""
    states = Watch(book).look(None if book.submitted() else {})
    return [
        Absent(book.directory_of(state.job), state.word, state.why, " ".join(state.job.overrides))
        for state in states
        if state.word != "done"
    ]


def _run(directory: Path, content: Mapping[str, Any]) -> Run:
    choices = {group: str(content["choices"][group]) for group in GROUPS}
    metrics = content["metrics"]
    for name, value in metrics.items():
        if not _is_number(value):
            raise ValueError(f"metrics.{name} is {value}")
    stages = {
        name: {"key": str(stage["key"]), "perturbed": bool(stage.get("perturbed"))}
        for name, stage in content["stages"].items()
    }
    if isinstance(content["seed"], bool) or not isinstance(content["seed"], int):
        raise ValueError(f"seed is {content['seed']}")
    sparsity = content["config"]["ratio"].get("sparsity")
    if sparsity is not None and not _is_number(sparsity):
        raise ValueError(f"config.ratio.sparsity is {sparsity}")
    return Run(
        directory=directory,
        seed=content["seed"],
        choices=choices,
        config=content["config"],
        stages=stages,
        metrics={name: float(value) for name, value in metrics.items()},
        ticket=_ticket(content["ticket"]),
        effect=_effect(content.get("check")),
        versions={str(name): str(value) for name, value in content["versions"].items()},
        criteria=criteria.read(content["config"].get("verdict")),
        sweep=None if content.get("sweep") is None else str(content["sweep"]),
    )


def _ticket(content: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    if content is None:
        return None
    layers = []
    for layer in content["layers"]:
        total, kept = int(layer["total"]), int(layer["kept"])
        if total < 1 or not 0 <= kept <= total:
            raise ValueError("ticket.layers has counts that no layer can have")
        layers.append({"name": str(layer["name"]), "total": total, "kept": kept})
    figures = {"kept": int(content["kept"]), "total": int(content["total"])}
    return {**figures, "sparsity": float(content["sparsity"]), "layers": layers}


def _effect(check: Mapping[str, Any] | None) -> Mapping[str, float]:
    effect = (check or {}).get("effect") or {}
    return {str(name): value for name, value in effect.items() if _is_number(value)}


def _is_number(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and math.isfinite(value)
