"""What uses the store's results: the runs and sweeps that asked for them, by their directories.

A sweep lists its jobs' stages in ``sweep.json`` before it starts anything, and ``.sweeps/`` says
where it lies. Whatever else asks for a result notes that in ``.runs/`` beforehand: a run that is
interrupted has no record of what it was about to use.
"""

import hashlib
import json
import socket
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sanity import locks
from sanity.errors import StoreError
from sanity.files import read_json, write_atomically, write_json
from sanity.store.keys import is_key

RUNS, SWEEPS = ".runs", ".sweeps"
EARLIER = "earlier.json"
UNKNOWN = "a run of an earlier version"
RECORD, SWEEP = "record.json", "sweep.json"

Name = tuple[str, str]
"""Stage and key of a result."""


@contextmanager
def changing(root: Path) -> Iterator[None]:
    """Be the only one who notes what is used, or removes what is not.

    So that nothing is removed between a run's note and its use of a result.
    """
    with ExitStack() as stack:
        try:
            (root / ".locks").mkdir(parents=True, exist_ok=True)
            stack.enter_context(locks.held(root / ".locks" / "users.lock", "the store is changed"))
        except OSError as error:
            raise StoreError(f"store_dir={root}: cannot lock ({locks.why_not(error)})") from None
        yield


def begin(root: Path) -> None:
    """Begin to note what is used; of results that are there already nobody has said so.

    They count as used by somebody unknown.
    """
    if (root / RUNS / EARLIER).exists():
        return
    with changing(root):
        (root / RUNS).mkdir(exist_ok=True)
        if not (root / RUNS / EARLIER).exists():
            write_json(root / RUNS / EARLIER, _present(root))


def _present(root: Path) -> list[Name]:
    """Everything that is in a store, finished or not."""
    stages = [path for path in root.iterdir() if path.is_dir() and path.name[0] != "."]
    found = [(stage.name, path.name) for stage in stages for path in stage.iterdir()]
    unfinished = (path.name.rpartition("-") for path in (root / ".work").glob("*"))
    return sorted([*found, *((stage, key) for stage, _, key in unfinished)])


def _earlier(root: Path) -> list[Name]:
    """What was there before anything was noted: everything, where that has not begun."""
    path = root / RUNS / EARLIER
    try:
        return [(stage, key) for stage, key in read_json(path)] if path.exists() else _present(root)
    except (ValueError, TypeError) as error:
        raise StoreError(f"{path}: is damaged; without it all there is counts as used") from error


class Note:
    """The note of what the run in ``directory`` uses of the store ``root``.

    It grows while the run is at work, over all its attempts, and is put in order when it is done.
    """

    def __init__(self, root: Path, directory: Path) -> None:
        self.root, self.directory = root, directory.absolute()
        name = hashlib.sha256(str(self.directory).encode(errors="surrogateescape")).hexdigest()
        self.path = root / RUNS / f"{name[:20]}.jsonl"

    def add(self, stage: str, key: str) -> None:
        """Note a result before it is used; raises StoreError where that cannot be written."""
        with changing(self.root), self._writing():
            self.path.parent.mkdir(exist_ok=True)
            with self.path.open("a", encoding="utf-8") as file:
                # The first line break ends what a killed run may have left half-written.
                file.write(f"\n{self._line((stage, key))}\n")

    def replace(self, names: Iterable[Name]) -> None:
        """The run is done, and used just these."""
        if self.path.exists():
            with changing(self.root), self._writing():
                write_atomically(self.path, "".join(f"{self._line(name)}\n" for name in names))

    def _line(self, name: Name) -> str:
        facts = {"directory": str(self.directory), "host": socket.gethostname()}
        return json.dumps(facts | {"stage": name[0], "key": name[1]})

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreError(
                f"store_dir={self.root}: cannot note what the run uses ({error.strerror})"
            ) from error


@dataclass
class Users:
    """Who uses what: directories by result.

    ``gone`` are directories that do not exist any more, whose results nobody asks for, and
    ``stale`` the notes about them; directories ``elsewhere`` cannot be seen from this host, so
    that their results are in use.
    """

    by_name: dict[Name, set[str]] = field(default_factory=dict)
    runs: set[str] = field(default_factory=set)
    sweeps: set[str] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)
    elsewhere: set[str] = field(default_factory=set)
    stale: list[Path] = field(default_factory=list)

    def of(self, stage: str, key: str) -> list[str]:
        """The directories of those that use a result, sorted; of a sweep's jobs, the sweep's."""
        used = self.by_name.get((stage, key), set())
        return sorted(one for one in used if self._sweep_of(one) not in used)

    def _sweep_of(self, directory: str) -> str | None:
        parents = (str(parent) for parent in Path(directory).parents)
        return next((parent for parent in parents if parent in self.sweeps), None)

    def without_elsewhere(self) -> "Users":
        """The same, as if what cannot be seen from this host did not exist."""
        return replace(self._without(self.elsewhere), elsewhere=set())

    def without_unknown(self) -> "Users":
        """The same, as if nobody needed what was there before anything was noted."""
        return self._without({UNKNOWN})

    def _without(self, directories: set[str]) -> "Users":
        seen = {name: used - directories for name, used in self.by_name.items()}
        return replace(self, by_name=seen)


def users(root: Path, more: Iterable[Path] = ()) -> Users:
    """All users that the store knows of, and those found below ``more``."""
    found = Users()
    for stage, key in _earlier(root):
        _use(found, stage, key, UNKNOWN)
    for note in sorted((root / RUNS).glob("*.jsonl")):
        there = [_add_noted(found, line) for line in _lines(note)]  # all lines count
        if not any(there):
            found.stale.append(note)
    for note in sorted((root / SWEEPS).glob("*.json")):
        with suppress(OSError, ValueError, TypeError, KeyError):  # half a note says nothing
            if not _add_noted_sweep(found, read_json(note)):
                found.stale.append(note)
    for place in more:
        for path in sorted(place.rglob(RECORD)):
            _add_record(found, path.parent)
        for path in sorted(place.rglob(SWEEP)):
            _add_sweep(found, str(path.parent.absolute()))
    return found


def _lines(note: Path) -> list[dict[str, Any]]:
    found = []
    for text in note.read_text(encoding="utf-8", errors="replace").splitlines():
        with suppress(ValueError, RecursionError):  # a line that a killed run has not finished
            line = json.loads(text)
            if isinstance(line, dict) and isinstance(line.get("directory"), str):
                found.append(line)
    return found


def _add_noted(found: Users, line: dict[str, Any]) -> bool:
    """Whether there is, or may be, the run that a line of a note is about."""
    directory = line["directory"]
    if directory in found.gone or not _is_there(found, directory, line.get("host")):
        return False
    if directory not in found.runs:
        found.runs.add(directory)
        _add_record(found, Path(directory))
    _use(found, line.get("stage"), line.get("key"), directory)
    return True


def _add_record(found: Users, directory: Path) -> None:
    """The stages that a run's record names, as far as it can be read."""
    name = str(directory.absolute())
    found.runs.add(name)
    with suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
        record = read_json(directory / RECORD)
        for called, stage in record["stages"].items():
            _use(found, stage_of(called), stage["key"], name)


def _add_noted_sweep(found: Users, note: dict[str, Any]) -> bool:
    directory = str(note["directory"])
    if not _is_there(found, directory, note.get("host"), SWEEP):
        return False
    _add_sweep(found, directory)
    for stage, key in note.get("stages", []):
        _use(found, stage, key, directory)
    return True


def _add_sweep(found: Users, directory: str) -> None:
    """The stages of a sweep's jobs, also of those that have not started yet."""
    if directory in found.sweeps:
        return
    found.sweeps.add(directory)
    with suppress(OSError, ValueError, TypeError, KeyError):
        for job in read_json(Path(directory) / SWEEP)["jobs"]:
            for stage in job["stages"]:
                _use(found, stage["stage"], stage["key"], directory)


def _use(found: Users, stage: Any, key: Any, directory: str) -> None:
    if isinstance(stage, str) and is_key(key):
        found.by_name.setdefault((stage, key), set()).add(directory)


def _is_there(found: Users, directory: str, host: Any, file: str = "") -> bool:
    """Whether the directory (with ``file``) is there, or may be where it cannot be seen."""
    try:
        if (Path(directory) / file).exists():
            return True
        lost = host in (None, socket.gethostname())
    except (OSError, ValueError):  # not ours to look into
        lost = False
    (found.gone if lost else found.elsewhere).add(directory)
    return not lost


def stage_of(name: str) -> str:
    """What a stage called ``prune_2`` or ``prune_donor`` in a run is called in the store."""
    stage, _, suffix = name.rpartition("_")
    return stage if suffix.isdecimal() or suffix == "donor" else name
