"""A sweep's directory: what was asked for (``sweep.json``) and what was submitted for it.

Written before anything is started and read by everything that comes later, so that a sweep can be
followed, collected and gone on with after its parent has died.
"""

import dataclasses
import json
import logging
import socket
import time
from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from sanity.core import locks, sharing
from sanity.core.errors import SweepError
from sanity.core.files import digest, read_json, sweep_up, write_json
from sanity.stages.stage import StageId
from sanity.stats.looks import FIRST
from sanity.store.notes import SWEEPS, changing, hint_at_sharing, sweep_note
from sanity.sweep import growth, reading
from sanity.sweep.growth import Look
from sanity.sweep.plan import Job, Plan
from sanity.sweep.snapshot import Snapshot

log = logging.getLogger(__name__)

NAME = "sweep.json"


@dataclass(frozen=True)
class Submission:
    """A job of the cluster (``12``, or ``12_3`` in an array) and what it was submitted for.

    Without an id it takes back what was submitted before, which says nothing any more.
    """

    id: str
    job: int | None = None
    stage: str | None = None

    @property
    def subject(self) -> int | str:
        """The number of the job, or the key of the stage."""
        return self.stage if self.stage is not None else self.job or 0


@dataclass(frozen=True)
class Sweep:
    """A sweep on disk.

    ``name`` is what trackers call it, ``arguments`` are overrides that all jobs share besides their
    own, ``config_dir`` is the user's own configuration directory, if there is one, ``config_name``
    the primary file. ``code`` is the copy of the code that jobs run, once it was taken.

    Of a sweep that grows, ``plan`` has the jobs that were asked for in ``looks`` so far, ``later``
    are the others, ``budget`` is the clock that it may take in seconds, and ``seen`` says that some
    of its tickets were trained before it was begun.
    """

    directory: Path
    plan: Plan
    identity: str
    name: str
    store_dir: Path
    launcher: str
    arguments: tuple[str, ...]
    config_dir: str | None
    config_name: str | None
    command: tuple[str, ...]
    created: str
    code: Snapshot | None = None
    later: tuple[Job, ...] = ()
    looks: tuple[Look, ...] = ()
    budget: float | None = None
    seen: bool = False

    def write(self) -> None:
        """Write ``sweep.json``, and note in the store where this sweep lies."""
        sharing.make_directory(self.directory)
        jobs = sorted((*self.plan.jobs, *self.later), key=lambda job: job.number)
        content = {
            "schema": reading.SCHEMA,
            "title": self.plan.title,
            "identity": self.identity,
            "name": self.name,
            "created": self.created,
            "command": list(self.command),
            "launcher": self.launcher,
            "arguments": list(self.arguments),
            "config_dir": self.config_dir,
            "config_name": self.config_name,
            "store_dir": str(self.store_dir),
            "left_out": [dataclasses.asdict(one) for one in self.plan.left_out],
            "seeds": list(self.plan.seeds),
            "budget": self.budget,
            "seen": self.seen,
            "jobs": [dataclasses.asdict(job) for job in jobs],
        }
        with changing(self.store_dir):  # also keeps apart two parents that start the same sweep
            sweep_up(self.directory / NAME)
            write_json(self.directory / NAME, content)
            self._tell_store()
        hint_at_sharing(self.store_dir)

    def _tell_store(self) -> None:
        """Note where this sweep lies, and what it will use: also of a host that cannot see it."""
        directory = self.directory.absolute()
        note = sweep_note(self.store_dir, self.identity, directory)
        jobs = (*self.plan.jobs, *self.later)
        stages = {(stage.kind, stage.key) for job in jobs for stage in job.stages}
        content = {
            "directory": str(directory),
            "host": socket.gethostname(),
            "title": self.plan.title,
            "stages": sorted(stages),
            "seeds": list(self.plan.seeds),
        }
        sharing.make_directory(note.parent)
        sweep_up(note)
        write_json(note, content)

    @property
    def grows(self) -> bool:
        """Whether jobs are added until its questions are decided."""
        return bool(self.plan.seeds)

    def ask(self, seeds: int, jobs: Sequence[Job]) -> "Sweep":
        """The sweep with another look, at so many seeds, which takes these jobs more."""
        look = Look(seeds, tuple(job.number for job in jobs), asked=time.time())
        before = (dataclasses.replace(one, why="") for one in self.looks)
        return self._with_looks((*before, look))

    def stop(self, why: str) -> "Sweep":
        """The sweep whose latest look no other follows, and why."""
        *before, last = self.looks
        return self._with_looks((*before, dataclasses.replace(last, why=why)))

    def end(self, failed: Sequence[Job] = ()) -> "Sweep":
        """The sweep once all of its latest look is run; what has ``failed`` is not in the look."""
        *before, last = self.looks
        numbers = tuple(job.number for job in failed)
        return self._with_looks((*before, dataclasses.replace(last, ended=True, failed=numbers)))

    def spend(self, seconds: float, seeds: int) -> "Sweep":
        """The sweep after its look at so many seeds took so much more of the clock."""
        return self._with_looks(
            tuple(
                dataclasses.replace(one, seconds=one.seconds + seconds)
                if one.seeds == seeds
                else one
                for one in self.looks
            )
        )

    def renewed(self) -> "Sweep":
        """The sweep as it stands on the disk, where another process may have asked for more."""
        return self._split(growth.read(self.directory)) if self.grows else self

    def _with_looks(self, looks: tuple[Look, ...]) -> "Sweep":
        growth.write(self.directory, looks)
        return self._split(looks)

    def _split(self, looks: tuple[Look, ...]) -> "Sweep":
        """The jobs of these looks, and those of later ones."""
        asked = {number for look in looks for number in look.jobs}
        whole = dataclasses.replace(self.plan, jobs=(*self.plan.jobs, *self.later))
        plan = whole.only([job for job in whole.jobs if job.number in asked])
        later = tuple(job for job in whole.jobs if job.number not in asked)
        return dataclasses.replace(self, plan=plan, later=later, looks=looks)

    def directory_of(self, job: Job) -> Path:
        """Where a job runs and leaves its record."""
        return self.directory / job.directory

    def stage_directory(self, stage: StageId) -> Path:
        """Where a stage that is submitted by itself runs."""
        return self.directory / "stages" / f"{stage.name}-{stage.key}"

    @property
    def cluster_directory(self) -> Path:
        """The cluster's scripts and logs of this sweep."""
        return self.directory / "slurm"

    def submitted(self) -> list[Submission]:
        """All submissions so far, oldest first."""
        return [one for one in self._noted() if one.id]

    def latest(self) -> dict[int | str, str]:
        """The id under which each job (by number) and stage (by key) was last submitted."""
        ids = {one.subject: one.id for one in self._noted()}
        return {subject: identifier for subject, identifier in ids.items() if identifier}

    def note_submissions(self, submissions: Sequence[Submission]) -> None:
        """Append submissions to the sweep."""
        sharing.make_directory(self.cluster_directory)
        lines = [json.dumps(dataclasses.asdict(one)) for one in submissions]
        with sharing.append(self._submissions) as file:
            # The first line break ends what a killed parent may have left half-written.
            file.write("".join(f"\n{line}" for line in lines) + "\n")

    def withdraw(self, jobs: Sequence[Job], active: Collection[int | str] = ()) -> None:
        """Forget the submissions of jobs that are to run again, and of their stages.

        How those ended must not be taken for how the next ones do. ``active`` ones have not ended.
        """
        concerned = {*self.plan.needs(*jobs), *(job.number for job in jobs)}
        self.take_back((self.latest().keys() & concerned) - {*active})

    def take_back(self, subjects: Collection[int | str]) -> None:
        """Forget the latest submissions of jobs (by number) and stages (by key)."""
        stages = [Submission("", stage=one) for one in subjects if isinstance(one, str)]
        jobs = [Submission("", job=one) for one in subjects if isinstance(one, int)]
        if stages or jobs:
            self.note_submissions([*stages, *jobs])

    def forget_failures(self, jobs: Sequence[Job]) -> None:
        """Remove the failed records of jobs that are about to run again, and of their stages."""
        stages = [self.plan.shared[key].stage for key in self.plan.needs(*jobs)]
        for directory in (*map(self.directory_of, jobs), *map(self.stage_directory, stages)):
            path = directory / "record.json"
            if _failed(path):  # one that was running a moment ago may be complete by now
                path.unlink(missing_ok=True)

    @property
    def _submissions(self) -> Path:
        return self.cluster_directory / "submissions.jsonl"

    def _noted(self) -> list[Submission]:
        return [Submission(**one) for one in reading.submissions(self._submissions)]

    def locked(self) -> AbstractContextManager[None]:
        """Keep other processes from starting jobs of this sweep; waits while one does."""
        what = f"the sweep in {self.directory} is being started"
        return locks.held(self.directory / ".lock", what)


def identity_of(plan: Plan) -> str:
    """What two sweeps have in common that ask for the same: their jobs and all keys.

    Of those that grow, the jobs of the first look, and the seeds up to those that just count on:
    how far they may is no part of the question.
    """
    first = plan.of_look(FIRST) if plan.seeds else plan.jobs
    jobs: list[Any] = [
        [sorted(job.overrides), [stage.key for stage in job.stages]] for job in first
    ]
    gaps = [at for at, (one, other) in enumerate(pairwise(plan.seeds), 1) if other != one + 1]
    if gaps and gaps[-1] >= FIRST:
        jobs.append(plan.seeds[: gaps[-1] + 1])
    return digest(jobs)[:20]


def read(directory: Path) -> Sweep:
    """The sweep of ``directory``; raises SweepError where there is none."""
    values, plan = reading.sweep(directory / NAME)
    return Sweep(directory=directory, plan=plan, **values).renewed()


def earlier(store_dir: Path, identity: str) -> Path | None:
    """The directory in which the same sweep was started before, if it is still there."""
    for directory in reversed(known(store_dir, f"{identity}*.json")):
        with suppress(SweepError):
            if read(directory).identity == identity:
                return directory
    return None


def known(store_dir: Path, notes: str = "*.json") -> list[Path]:
    """The directories of all sweeps that used this store and still exist, oldest first."""
    found = []
    for note in (store_dir / SWEEPS).glob(notes):
        directory = reading.noted_directory(note)
        with suppress(OSError):  # a sweep that this user may not look at
            if directory is not None and (directory / NAME).exists():
                found.append((note.stat().st_mtime, directory))
    return [directory for _, directory in sorted(found)]


def _failed(record: Path) -> bool:
    try:
        return bool(read_json(record)["status"] == "failed")
    except (OSError, ValueError, KeyError, TypeError):  # says nothing, so it hides nothing
        return False
