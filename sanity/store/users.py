"""Who uses the store's results, by the notes in it and by records found elsewhere."""

import json
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sanity.core.files import read_json, walk
from sanity.store.keys import is_key
from sanity.store.notes import RUNS, SWEEPS, Name, earlier

RECORD, SWEEP = "record.json", "sweep.json"
UNKNOWN = "a run of an earlier version"
ODD = (OSError, ValueError, TypeError, KeyError, AttributeError)
"""What files raise that are not what we write."""


@dataclass
class Users:
    """Who uses what: directories by result.

    ``gone`` are directories that do not exist any more, whose results nobody asks for, and
    ``stale`` the notes about them; directories ``elsewhere`` cannot be seen from this host, so
    that their results are in use. ``unreadable`` are files that may name users, and do not.
    """

    by_name: dict[Name, set[str]] = field(default_factory=dict)
    runs: set[str] = field(default_factory=set)
    sweeps: set[str] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)
    elsewhere: set[str] = field(default_factory=set)
    stale: list[Path] = field(default_factory=list)
    unreadable: list[Path] = field(default_factory=list)

    def of(self, stage: str, key: str) -> list[str]:
        """The directories of those that use a result, sorted; of a sweep's jobs, the sweep's."""
        used = self.by_name.get((stage, key), set())
        sweeps = used & self.sweeps
        return sorted(one for one in used if sweeps.isdisjoint(map(str, Path(one).parents)))

    def without(self, directories: set[str]) -> "Users":
        """The same, as if these did not exist."""
        seen = {name: used - directories for name, used in self.by_name.items()}
        return replace(self, by_name=seen, elsewhere=self.elsewhere - directories)


def users(root: Path, more: Iterable[Path] = ()) -> Users:
    """All users that the store knows of, and those found below ``more``."""
    found = Users()

    def refused(error: OSError) -> None:
        found.unreadable.append(Path(error.filename))

    for stage, key in earlier(root):
        _use(found, stage, key, UNKNOWN)
    for note in sorted((root / RUNS).glob("*.jsonl")):
        _read(found, note, _add_run_note)
    for note in sorted((root / SWEEPS).glob("*.json")):
        _read(found, note, _add_sweep_note)
    for place in more:
        for directory, folders, names in walk(place, refused):
            folders.sort()
            if RECORD in names:
                _read(found, directory / RECORD, _add_record)
            if SWEEP in names:
                _read(found, directory / SWEEP, _add_sweep)
    return found


def _read(found: Users, path: Path, add: Callable[[Users, Path], None]) -> None:
    try:
        add(found, path)
    except ODD:
        found.unreadable.append(path)


def _add_run_note(found: Users, note: Path) -> None:
    """What a run has noted; its record, where there is one, names nothing beside that."""
    lines = [line for line in note.read_text(encoding="utf-8").splitlines() if line]
    noted = [one for line in lines if (one := _noted(line)) is not None]
    there = [one for one in noted if _is_there(found, one["directory"], one.get("host"))]
    for one in there:
        found.runs.add(one["directory"])
        _use(found, one.get("stage"), one.get("key"), one["directory"])
    if noted and not there:
        found.stale.append(note)


def _noted(line: str) -> dict[str, Any] | None:
    """A line of a run's note; None for one that a killed run has not finished.

    Of that it has used nothing yet. Raises ValueError for what was never written.
    """
    try:
        one = json.loads(line)
    except (ValueError, RecursionError):
        if line.startswith("{") and line.isprintable():
            return None
        raise ValueError("no line of a note") from None
    if not isinstance(one, dict) or not isinstance(one.get("directory"), str):
        raise ValueError("no line of a note")
    return one


def _add_sweep_note(found: Users, note: Path) -> None:
    content = read_json(note)
    directory, stages = str(content["directory"]), content.get("stages")
    if not _is_there(found, directory, content.get("host"), SWEEP):
        found.stale.append(note)
    elif stages is None:  # a note of an earlier version
        _read(found, Path(directory) / SWEEP, _add_sweep)
    else:
        found.sweeps.add(directory)
        for stage, key in stages:
            _use(found, stage, key, directory)


def _add_record(found: Users, record: Path) -> None:
    """The stages that a run's record names."""
    name = str(record.parent.absolute())
    for called, stage in read_json(record)["stages"].items():
        _use(found, stage_of(called), stage["key"], name)
    found.runs.add(name)


def _add_sweep(found: Users, sweep: Path) -> None:
    """The stages of a sweep's jobs, also of those that have not started yet."""
    name = str(sweep.parent.absolute())
    for job in read_json(sweep)["jobs"]:
        for stage in job["stages"]:
            kind = stage["kind"] if "kind" in stage else stage["stage"]  # of earlier versions
            _use(found, kind, stage["key"], name)
    found.sweeps.add(name)


def _use(found: Users, stage: Any, key: Any, directory: str) -> None:
    if isinstance(stage, str) and is_key(key):
        found.by_name.setdefault((stage, key), set()).add(directory)


def _is_there(found: Users, directory: str, host: Any, file: str = "") -> bool:
    """Whether the directory (with ``file``) is there, or may be where it cannot be seen."""
    if directory in found.gone or directory in found.elsewhere:
        return directory in found.elsewhere
    try:
        (Path(directory) / file).stat()  # exists() takes what cannot be seen for gone
        return True
    except (FileNotFoundError, NotADirectoryError):
        lost = host in (None, socket.gethostname())
    except (OSError, ValueError):  # not ours to look into, or a file system that is away
        lost = False
    (found.gone if lost else found.elsewhere).add(directory)
    return not lost


def stage_of(name: str) -> str:
    """What a stage called ``prune_2`` or ``prune_donor`` in a run is called in the store."""
    stage, _, suffix = name.rpartition("_")
    return stage if suffix.isdecimal() or suffix == "donor" else name
