"""Submit a sweep to SLURM: shared stages by name, the jobs behind them in one array.

One array for all jobs makes its throttle that of the sweep. It is submitted held; its tasks are
then told which stages they wait for, and released. Everything is in the book before it can start,
so that a parent may die at any time.
"""

import itertools
import logging
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sanity.errors import SweepError
from sanity.sweep import cluster
from sanity.sweep.book import Book, Submission
from sanity.sweep.cluster import Limits
from sanity.sweep.job import of_job, of_stage
from sanity.sweep.plan import Job, Needed
from sanity.sweep.snapshot import Snapshot
from sanity.sweep.states import in_store
from sanity.sweep.throttle import Throttled, lanes

log = logging.getLogger(__name__)

FULL = re.compile(r"limit|temporarily unable to accept|MaxJobCount", re.IGNORECASE)
"""What sbatch says where no more jobs are accepted for now."""


@dataclass(frozen=True)
class Resources:
    """What a kind of job asks for: submitit's parameters, without the prefix ``slurm_``."""

    parameters: Mapping[str, Any]
    max_num_timeout: int = 0


@dataclass
class Submitter:
    """Submits jobs of one sweep, within what the cluster accepts.

    ``width`` is how many jobs of the sweep may run at once, stages included (None: any number).
    """

    book: Book
    snapshot: Snapshot
    jobs: Resources
    stages: Resources
    limits: Limits
    width: int | None
    _ids: dict[int | str, str] = field(default_factory=dict)

    def submit(self, jobs: Sequence[Job], active: Mapping[int | str, str], room: int) -> list[Job]:
        """Submit ``jobs`` and the stages that they lack; returns those for which there is no room.

        ``active`` are the ids of this sweep's submissions that have not ended, ``room`` is how
        many jobs the cluster would still accept.
        """
        self._ids = dict(active)
        fitting = self._fitting(jobs, room)
        try:
            self._submit_stages(self._missing(fitting))
            for chunk in _chunks(fitting, self.limits.array):
                self._submit_array(chunk)
        except _Full as full:
            log.info("the cluster accepts no more jobs for now: %s", full)
        return [job for job in jobs if job.number not in self._ids]

    def _fitting(self, jobs: Sequence[Job], room: int) -> list[Job]:
        """As many of ``jobs`` as there is room for, with the stages that they lack."""
        fitting: list[Job] = []
        stages: set[str] = set()
        for job in jobs:
            more = stages | {needed.stage.key for needed in self._missing([job])}
            if len(fitting) + 1 + len(more) > room:
                break
            fitting.append(job)
            stages = more
        return fitting

    def _missing(self, jobs: Iterable[Job]) -> list[Needed]:
        """The shared stages that ``jobs`` lack and nobody was asked for, in order."""
        plan = self.book.plan
        keys = dict.fromkeys(key for job in jobs for key in plan.needs(job))
        needed = [plan.shared[key] for key in keys if key not in self._ids]
        return [one for one in needed if not in_store(self.book.store_dir, one.stage)]

    def _submit_stages(self, needed: Sequence[Needed]) -> None:
        """One job a stage, named after it: of all sweeps, one at a time computes it."""
        width = lanes(len(needed), self.width)
        for number, one in enumerate(needed):
            waits = ["singleton"]
            if one.after in self._ids:
                waits.append(f"afterok:{self._ids[one.after]}")
            if number >= width:
                waits.append(f"afterany:{self._ids[needed[number - width].stage.key]}")
            task = of_stage(self.book, one, self._config_dir)
            name = f"{one.stage.name}-{one.stage.key}"
            extra = {"dependency": ",".join(waits)}
            identifier = self._sbatch([task], self.stages, name, extra)[0]
            self._note([Submission(identifier, stage=one.stage.key)])

    def _submit_array(self, jobs: Sequence[Job]) -> None:
        stages = sum(isinstance(key, str) for key in self._ids)
        behind = self._last_array() if self.width is not None else None
        tasks: list[Any] = [of_job(self.book, job, self._config_dir) for job in jobs]
        throttle = self.width or len(jobs)
        if self.width is not None and stages:
            place = self.book.directory.absolute()
            tasks = [Throttled(task, place, self.width) for task in tasks]
            throttle = max(1, self.width - lanes(stages, self.width))
        name = f"sweep-{self.book.identity[:8]}"
        ids = self._sbatch(tasks, self.jobs, name, {"hold": True}, throttle)
        self._note([Submission(one, job=job.number) for one, job in zip(ids, jobs, strict=True)])
        array = ids[0].split("_")[0]
        waits: dict[str, list[int]] = {}
        for index, job in enumerate(jobs):
            waits.setdefault(self._dependency(job, behind), []).append(index)
        for dependency, indices in waits.items():
            if dependency:
                cluster.set_dependency(array, indices if len(ids) > 1 else None, dependency)
        cluster.release(array)

    def _dependency(self, job: Job, behind: str | None) -> str:
        stages = [self._ids[key] for key in self.book.plan.needs(job) if key in self._ids]
        waits = [f"afterok:{':'.join(stages)}"] if stages else []
        others = [behind] if behind else []
        if self.width == 1:  # a stage and a job would be two at once
            others += [one for key, one in self._ids.items() if isinstance(key, str)]
        if others:
            waits.append(f"afterany:{':'.join(dict.fromkeys(others))}")
        return ",".join(waits)

    def _last_array(self) -> str | None:
        """The array submitted before: throttled ones follow each other."""
        ids = [one for key, one in self._ids.items() if isinstance(key, int)]
        return ids[-1].split("_")[0] if ids else None

    def _note(self, submissions: Sequence[Submission]) -> None:
        self.book.note_submissions(submissions)
        self._ids |= {one.subject: one.id for one in submissions}

    @property
    def _config_dir(self) -> str | None:
        return None if self.snapshot.config_dir is None else str(self.snapshot.config_dir)

    def _sbatch(
        self,
        tasks: Sequence[Any],
        resources: Resources,
        name: str,
        extra: Mapping[str, Any],
        throttle: int = 1,
    ) -> list[str]:
        import submitit
        from submitit.core.utils import FailedJobError, FailedSubmissionError

        folder = self.book.cluster_directory
        parameters = dict(resources.parameters)
        parameters["slurm_setup"] = [*(parameters.get("slurm_setup") or []), *self._setup()]
        parameters["slurm_additional_parameters"] = {
            "requeue": True,
            "kill-on-invalid-dep": "yes",
            **(parameters.get("slurm_additional_parameters") or {}),
            **extra,
        }
        try:
            executor = submitit.AutoExecutor(
                folder, cluster="slurm", slurm_max_num_timeout=resources.max_num_timeout
            )
            executor.update_parameters(
                **parameters,
                name=name,
                stderr_to_stdout=True,
                slurm_array_parallelism=throttle,
                # A requeued job goes on with its log; srun would begin it anew.
                slurm_srun_args=["--open-mode=append"],
            )
            with executor.batch():
                jobs = [executor.submit(task) for task in tasks]
        except (FailedJobError, FailedSubmissionError) as error:
            reason = _reason(str(error))
            if FULL.search(reason):
                raise _Full(reason) from None
            raise SweepError(f"hydra/launcher=slurm: {reason}") from None
        except (ValueError, NameError, TypeError) as error:
            raise SweepError(f"hydra/launcher=slurm: {error}") from None
        return [job.job_id for job in jobs]

    def _setup(self) -> list[str]:
        """Lines of the batch script that make a job import the code as it is now."""
        paths = [str(self.snapshot.code), str(self.snapshot.code / "sweeps")]
        joined = shlex.quote(":".join(paths))
        return [f"export PYTHONPATH={joined}${{PYTHONPATH:+:$PYTHONPATH}}"]


class _Full(Exception):  # noqa: N818 - a state of the cluster, not an error
    """The cluster accepts no more jobs of this user for now."""


def _chunks(jobs: Sequence[Job], size: int) -> Iterable[list[Job]]:
    iterator = iter(jobs)
    return iter(lambda: list(itertools.islice(iterator, size)), [])


def _reason(message: str) -> str:
    """sbatch's own line of what submitit says of it."""
    lines = [line for line in message.splitlines() if "sbatch:" in line or "error" in line.lower()]
    return (lines or message.splitlines() or ["sbatch failed"])[-1].strip()
