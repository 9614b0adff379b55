"""The runs below some directories: read, counted, and those that are missing named."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sanity.core.errors import SanityError, reason
from sanity.core.files import walk
from sanity.report.data.runs import RECORD, Absent, Run, read
from sanity.sweep import sweep as sweeps
from sanity.sweep.scheduler import Poll
from sanity.sweep.states import Watch, is_running
from sanity.sweep.sweep import Sweep

STARTED = {".hydra", ".lock"}  # what a run leaves before it has a record
STAGES = "stages"  # below a sweep: stages computed by themselves, which are parts of its jobs
CODE = "code"  # below a sweep on a cluster: the code as it was submitted


@dataclass
class Collection:
    """All that was found; ``unreadable`` has a line for each record that could not be read."""

    runs: list[Run] = field(default_factory=list)
    absent: list[Absent] = field(default_factory=list)
    sweeps: list[Sweep] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)


def collect(places: Sequence[Path]) -> Collection:
    """The runs in and below ``places``, each once; raises SanityError for a place without any."""
    found = Collection()
    seen: set[Path] = set()
    for place in places:
        here = list(_directories(place, found.unreadable))
        if not here and not found.unreadable:
            raise SanityError(f"{place}: has no run or sweep in it or below")
        for directory, names in here:
            if directory.resolve() not in seen:
                seen.add(directory.resolve())
                _look(found, directory, names)
    planned = {
        sweep.directory_of(job).resolve() for sweep in found.sweeps for job in sweep.plan.jobs
    }
    found.absent = [one for one in found.absent if one.directory.resolve() not in planned]
    for sweep in found.sweeps:
        found.absent += _absent_jobs(sweep)
    return found


def _directories(place: Path, unreadable: list[str]) -> Iterator[tuple[Path, set[str]]]:
    """The directories in and below ``place`` that hold a run or a sweep, with their names.

    Links are followed, loops of them once. What may not be entered is added to ``unreadable``.
    """

    def refused(error: OSError) -> None:
        if place.exists():
            unreadable.append(f"{error.filename}: cannot be read ({reason(error)})")

    if place.name == RECORD:
        place = place.parent
    for directory, folders, files in walk(place, refused):
        names = {*folders, *files}
        skipped = {STAGES, CODE} if sweeps.NAME in names else set()
        kept = (name for name in folders if name not in skipped and not name.startswith("."))
        folders[:] = sorted(kept, key=_natural)
        if sweeps.NAME in names or RECORD in names or names >= STARTED:
            yield directory, names


def _natural(name: str) -> list[tuple[int, str]]:
    """Sorts job 2 before job 10."""
    return [(int(part or 0), text) for part, text in re.findall(r"(\d*)(\D*)", name)]


def _look(found: Collection, directory: Path, names: set[str]) -> None:
    try:
        if sweeps.NAME in names:
            found.sweeps.append(sweeps.read(directory))
        elif RECORD in names:
            one = read(directory / RECORD)
            (found.runs if isinstance(one, Run) else found.absent).append(one)  # type: ignore[arg-type]
        elif is_running(directory):
            found.absent.append(Absent(directory, "running", ""))
        else:
            found.absent.append(Absent(directory, "missing", "was stopped before it had ended"))
    except SanityError as error:
        found.unreadable.append(str(error))


def _absent_jobs(sweep: Sweep) -> list[Absent]:
    """A sweep's jobs that are not done; a cluster is not asked."""
    unknown = "submitted; SLURM is not asked by a report"
    states = Watch(sweep).look(Poll(submitted=sweep.latest().keys(), unknown=unknown))
    return [
        Absent(sweep.directory_of(state.job), state.word, state.why, " ".join(state.job.overrides))
        for state in states
        if state.word != "done"
    ]
