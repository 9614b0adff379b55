"""One trial: a command is disturbed, once or several times, started again, and compared.

With what? With the same command in a place of its own, where nobody disturbed it. Results lost:
entries of the store that were there before a kill and are not after it, or that were computed
twice. Results changed: any file, fact, figure or line that differs. Hands needed: anything but the
same command once more.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from processes import Process

from sanity.core.config import PROJECT
from sanity.store import Store
from sanity.store.maintenance import inventory, verify

SPEED = {"images_per_second", "seconds", "created", "digest", "cpu_share"}
PLACES = {"store_dir", "data_dir"}
DISTURBED = Path(__file__).with_name("disturbed.py")
PATIENCE = 30.0  # seconds for processes to end whose parent was killed
LIMIT = 180.0  # seconds that an undisturbed command may take


class Place:
    """A store, a data directory and a directory to run in, all empty."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True)
        self.store = Store(root / "store")

    @property
    def environment(self) -> dict[str, str]:
        more = {
            "SANITY_STORE_DIR": str(self.root / "store"),
            "SANITY_DATA_DIR": str(self.root / "data"),
            "DISTURBED_BELOW": str(self.root),
            "WANDB_MODE": "disabled",
            "OMP_NUM_THREADS": "1",
        }
        return {**os.environ, **more}

    def start(self, *arguments: str, what: str = "kill", at: int = 0) -> Process:
        """The command under way; ``what`` happens before its ``at``-th change of the disk."""
        script = [str(DISTURBED), what, str(at), str(self.root / "changes")]
        command = [sys.executable, *script, str(PROJECT / "run.py"), *arguments]
        return Process(command, self.root, self.environment)

    def results(self) -> dict[str, Any]:
        """What the store holds, without what tells one computation from another of the same."""
        found = {}
        for path in sorted((self.root / "store").glob("[a-z]*/*/manifest.json")):
            found[f"{path.parent.parent.name}/{path.parent.name}"] = _plain(_json(path), SPEED)
        return found

    def stored(self) -> dict[str, str]:
        """When each entry was computed: another time means that it was computed twice."""
        return {
            f"{path.parent.parent.name}/{path.parent.name}": _json(path)["digest"]
            for path in (self.root / "store").glob("[a-z]*/*/manifest.json")
        }

    def story(self) -> dict[str, Any]:
        """Every record and every line of metrics, by the directory of its run."""
        found: dict[str, Any] = {}
        for path in sorted(self.root.rglob("record.json")):
            record = _plain(_json(path), {*SPEED, *PLACES, "reused", "versions"})
            metrics = path.parent / "metrics.jsonl"
            lines = metrics.read_text().splitlines() if metrics.exists() else []
            epochs = [_plain(json.loads(line), SPEED) for line in lines]
            found[str(path.parent.relative_to(self.root))] = (record, epochs)
        return found

    def files(self) -> set[str]:
        """The paths of all files and directories, but of logs and of what names this place."""
        skipped = {"changes", "output.log", "run.log"}
        # What bears a digest of this place, or SLURM's numbers, in its name.
        places = {".runs", ".sweeps", "slurm"}
        paths = [path.relative_to(self.root) for path in self.root.rglob("*")]
        return {str(p) for p in paths if p.name not in skipped and not places & set(p.parts)}

    def damage(self) -> list[str]:
        """What is in the store and not whole."""
        items = inventory(self.store)
        problems = [f"{item.name}: {why}" for item, why in verify(self.store, items)]
        return problems + [f"{item.path}" for item in items if item.kind == "damaged"]


def processes_of(root: Path) -> list[int]:
    """The living processes of a place, by whom ever they were started."""
    mark, found = f"DISTURBED_BELOW={root}\0".encode(), []
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if mark in (path / "environ").read_bytes():
                found.append(int(path.name))
    return found


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _plain(value: Any, without: set[str]) -> Any:
    if isinstance(value, Mapping):
        return {k: _plain(item, without) for k, item in value.items() if k not in without}
    return [_plain(item, without) for item in value] if isinstance(value, list) else value


@dataclass
class Outcome:
    """What came of a trial: kills and errors that hit, and lists of what should be empty."""

    disturbed: int = 0
    lost: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    hands: list[str] = field(default_factory=list)

    @property
    def fine(self) -> bool:
        return not (self.lost or self.changed or self.hands)


@dataclass(frozen=True)
class Reference:
    """The undisturbed command: what it leaves, and how many changes of the disk that takes."""

    arguments: tuple[str, ...]
    results: dict[str, Any]
    story: dict[str, Any]
    files: set[str]
    changes: int
    seconds: float


@dataclass(frozen=True)
class At:
    """Something that happens before a change of the disk: ``kill``, or an error (``EIO``)."""

    change: int
    what: str = "kill"


Kill = Callable[[Process], int]
"""Kills processes of a command that is under way, at a moment of its choice; returns how many."""

Disturbance = At | Kill


def look(place: Place, arguments: tuple[str, ...]) -> Reference:
    """Run the command undisturbed."""
    start = time.monotonic()
    process = place.start(*arguments)
    _, errors = process.communicate(LIMIT)
    assert process.returncode == 0, errors
    return Reference(
        arguments,
        place.results(),
        place.story(),
        place.files(),
        int((place.root / "changes").read_text()),
        time.monotonic() - start,
    )


def attempt(place: Place, reference: Reference, disturbances: Sequence[Disturbance]) -> Outcome:
    """Start the command once for each disturbance, then let it come to its end."""
    outcome, before = Outcome(), place.stored()
    for one in disturbances:
        if isinstance(one, At):
            process = place.start(*reference.arguments, what=one.what, at=one.change)
            outcome.disturbed += process.wait(LIMIT) != 0
        else:
            process = place.start(*reference.arguments)
            outcome.disturbed += one(process)
        code = process.wait(LIMIT)
        if code > 0 and not _is_fine(process.texts[1], one):
            outcome.hands.append(f"after {one}: exit {code}: {process.texts[1][-2000:]}")
        before = _check(place, outcome, before)
    process = place.start(*reference.arguments)
    _, errors = process.communicate(LIMIT)
    deadline = time.monotonic() + PATIENCE
    while (alive := processes_of(place.root)) and time.monotonic() < deadline:
        time.sleep(0.1)
    outcome.hands += [f"still running: {pid}" for pid in alive]
    if process.returncode != 0:
        outcome.hands.append(f"at last: exit {process.returncode}: {errors[-400:]}")
        return outcome
    _check(place, outcome, before)
    for name in ("results", "story"):
        wanted, found = getattr(reference, name), getattr(place, name)()
        for key in sorted(wanted.keys() | found.keys()):
            if wanted.get(key) != found.get(key):
                outcome.changed.append(f"{name} {key}")
    left, missing = place.files() - reference.files, reference.files - place.files()
    outcome.hands += [f"left behind: {path}" for path in sorted(left)]
    outcome.lost += [f"missing: {path}" for path in sorted(missing)]
    return outcome


def _is_fine(errors: str, disturbance: Disturbance) -> bool:
    """Whether a disturbed command that was not killed itself ended in a clear line.

    Where one of its jobs was killed, in the line that asks for nothing but the same command.
    """
    last = errors.splitlines()[-1] if errors else ""
    if "Traceback" in errors or not last.startswith("run.py: "):
        return False
    if isinstance(disturbance, At) and disturbance.what != "kill":
        return True
    return last.endswith("jobs are not done; the same command goes on with them")


def _check(place: Place, outcome: Outcome, before: dict[str, str]) -> dict[str, str]:
    """Nothing that was whole is gone, made anew or damaged."""
    now = place.stored()
    outcome.lost += [name for name in before if now.get(name) != before[name]]
    outcome.changed += place.damage()
    return now
