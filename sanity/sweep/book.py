"""A sweep's directory: what was asked for (``sweep.json``) and what was submitted for it.

Written before anything is started and read by everything that comes later, so that a sweep can be
followed, collected and gone on with after its parent has died.
"""

import dataclasses
import hashlib
import json
import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from sanity.errors import SweepError
from sanity.files import write_json
from sanity.sweep.keys import Stage
from sanity.sweep.plan import Job, LeftOut, Plan

log = logging.getLogger(__name__)

SCHEMA = 1
NAME = "sweep.json"


@dataclass(frozen=True)
class Submission:
    """A job of the cluster (``12``, or ``12_3`` in an array) and what it was submitted for."""

    id: str
    job: int | None = None
    stage: str | None = None

    @property
    def subject(self) -> int | str:
        """The number of the job, or the key of the stage."""
        return self.stage if self.stage is not None else self.job or 0


@dataclass(frozen=True)
class Book:
    """A sweep on disk.

    ``arguments`` are overrides that all jobs share besides their own, ``config_dir`` is the
    user's own configuration directory, if there is one.
    """

    directory: Path
    plan: Plan
    identity: str
    store_dir: Path
    launcher: str
    arguments: tuple[str, ...]
    config_dir: str | None
    command: tuple[str, ...]
    created: str

    def write(self) -> None:
        """Write ``sweep.json``, and note in the store where this sweep lies."""
        self.directory.mkdir(parents=True, exist_ok=True)
        content = {
            "schema": SCHEMA,
            "title": self.plan.title,
            "identity": self.identity,
            "created": self.created,
            "command": list(self.command),
            "launcher": self.launcher,
            "arguments": list(self.arguments),
            "config_dir": self.config_dir,
            "store_dir": str(self.store_dir),
            "left_out": [dataclasses.asdict(one) for one in self.plan.left_out],
            "jobs": [dataclasses.asdict(job) for job in self.plan.jobs],
        }
        write_json(self.directory / NAME, content)
        note = _note(self.store_dir, self.identity)
        note.parent.mkdir(parents=True, exist_ok=True)
        write_json(note, {"directory": str(self.directory.absolute()), "title": self.plan.title})

    def directory_of(self, job: Job) -> Path:
        """Where a job runs and leaves its record."""
        return self.directory / job.directory

    def stage_directory(self, stage: Stage) -> Path:
        """Where a stage that is submitted by itself runs."""
        return self.directory / "stages" / f"{stage.name}-{stage.key}"

    @property
    def cluster_directory(self) -> Path:
        """The cluster's scripts and logs of this sweep."""
        return self.directory / "slurm"

    def submitted(self) -> list[Submission]:
        """All submissions so far, oldest first."""
        path = self.cluster_directory / "submissions.jsonl"
        if not path.exists():
            return []
        lines = path.read_text(encoding="utf-8").splitlines()
        return [Submission(**json.loads(line)) for line in lines]

    def latest(self) -> dict[int | str, str]:
        """The id under which each job (by number) and stage (by key) was last submitted."""
        return {one.subject: one.id for one in self.submitted()}

    def note_submissions(self, submissions: Sequence[Submission]) -> None:
        """Append submissions to the book."""
        self.cluster_directory.mkdir(parents=True, exist_ok=True)
        lines = [json.dumps(dataclasses.asdict(one)) for one in submissions]
        with (self.cluster_directory / "submissions.jsonl").open("a", encoding="utf-8") as file:
            file.write("".join(f"{line}\n" for line in lines))

    def forget_failures(self, jobs: Sequence[Job]) -> None:
        """Remove the failed records of jobs that are about to run again, and of their stages."""
        directories = [self.directory_of(job) for job in jobs]
        for key in {key for job in jobs for key in self.plan.needs(job)}:
            directories.append(self.stage_directory(self.plan.shared[key].stage))
        for directory in directories:
            (directory / "record.json").unlink(missing_ok=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from starting jobs of this sweep; waits while one does."""
        lock = FileLock(self.directory / ".lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            log.info("another process is starting this sweep in %s: waiting", self.directory)
            lock.acquire()
        try:
            yield
        finally:
            lock.release()


def identity_of(plan: Plan) -> str:
    """What two sweeps have in common that ask for the same: their jobs and all keys."""
    jobs = [[sorted(job.overrides), [stage.key for stage in job.stages]] for job in plan.jobs]
    return hashlib.sha256(json.dumps(jobs).encode()).hexdigest()[:20]


def read(directory: Path) -> Book:
    """The sweep of ``directory``; raises SweepError where there is none."""
    path = directory / NAME
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["schema"] != SCHEMA:
            raise SweepError(f"{path}: has schema {content['schema']}; this version reads {SCHEMA}")
        return _book(directory, content)
    except FileNotFoundError:
        raise SweepError(f"{directory}: is no sweep's directory (it has no {NAME})") from None
    except NotADirectoryError:
        raise SweepError(f"{directory}: is no directory") from None
    except (ValueError, KeyError, TypeError) as error:
        raise SweepError(f"{path}: is damaged ({error})") from error


def earlier(store_dir: Path, identity: str) -> Path | None:
    """The directory in which the same sweep was started before, if it is still there."""
    try:
        note = json.loads(_note(store_dir, identity).read_text(encoding="utf-8"))
        directory = Path(note["directory"])
        return directory if read(directory).identity == identity else None
    except (OSError, ValueError, KeyError, SweepError):
        return None


def known(store_dir: Path) -> list[Path]:
    """The directories of all sweeps that used this store and still exist, oldest first."""
    notes = sorted((store_dir / ".sweeps").glob("*.json"), key=lambda path: path.stat().st_mtime)
    found = [Path(json.loads(note.read_text(encoding="utf-8"))["directory"]) for note in notes]
    return [directory for directory in found if (directory / NAME).exists()]


def now() -> str:
    """The time as it is written into books."""
    return time.strftime("%Y-%m-%dT%H:%M:%S%z")


def _note(store_dir: Path, identity: str) -> Path:
    return store_dir / ".sweeps" / f"{identity}.json"


def _book(directory: Path, content: dict[str, Any]) -> Book:
    jobs = tuple(_job(values) for values in content["jobs"])
    left_out = (LeftOut(tuple(one["overrides"]), one["reason"]) for one in content["left_out"])
    return Book(
        directory=directory,
        plan=Plan(content["title"], jobs, tuple(left_out)),
        identity=content["identity"],
        store_dir=Path(content["store_dir"]),
        launcher=content["launcher"],
        arguments=tuple(content["arguments"]),
        config_dir=content["config_dir"],
        command=tuple(content["command"]),
        created=content["created"],
    )


def _job(values: dict[str, Any]) -> Job:
    stages = tuple(Stage(**stage) for stage in values["stages"])
    return Job(**{**values, "overrides": tuple(values["overrides"]), "stages": stages})
