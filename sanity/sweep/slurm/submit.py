"""Submit a sweep to SLURM: shared stages by name, the jobs behind them in one array.

One array for all jobs makes its throttle that of the sweep. It is submitted held; its tasks are
then told which stages they wait for, and released. Everything is in the sweep before it can start,
so that a parent may die at any time.
"""

import contextlib
import hashlib
import logging
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sanity.core.errors import SweepError
from sanity.sweep.job import of_job, of_stage
from sanity.sweep.plan import Job, Needed
from sanity.sweep.slurm import cluster
from sanity.sweep.slurm.cluster import Limits
from sanity.sweep.slurm.sbatch import Full, sbatch
from sanity.sweep.slurm.setup_lines import guarded
from sanity.sweep.slurm.throttle import Throttled, lanes
from sanity.sweep.states import missing
from sanity.sweep.sweep import Submission, Sweep

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Resources:
    """What a kind of job asks for: submitit's parameters, without the prefix ``slurm_``."""

    parameters: Mapping[str, Any]
    max_num_timeout: int = 0


@dataclass
class Submitter:
    """Submits jobs of one sweep, within what the cluster accepts.

    ``width`` is how many jobs of the sweep may run at once, stages included (None: any number).
    ``refused`` is why the cluster did not accept even one job, where it did not.
    """

    sweep: Sweep
    jobs: Resources
    stages: Resources
    limits: Limits
    width: int | None
    refused: str = field(default="", init=False)
    _ids: dict[int | str, str] = field(default_factory=dict, init=False)
    _loose: set[str] = field(default_factory=set, init=False)
    _most: int = field(default=10**9, init=False)

    def submit(self, jobs: Sequence[Job], active: Mapping[int | str, str], room: int) -> list[Job]:
        """Submit ``jobs`` and the stages that they lack; returns those for which there is no room.

        ``active`` are the ids of this sweep's submissions that have not ended, ``room`` is how
        many jobs the cluster would still accept.
        """
        self._ids, self._loose, self.refused = dict(active), set(), ""
        room = min(room, self._most)
        fitting = self._fitting(jobs, room)
        needed = self._missing(fitting or jobs[:1])
        try:
            # Where there is no room for a job and its stages together, the stages go first.
            self._submit_stages(needed[:room])
            for start in range(0, len(fitting), self.limits.array):
                self._submit_array(fitting[start : start + self.limits.array])
        except Full as full:
            self._try_fewer(len(needed) + len(fitting), str(full))
        except BaseException:
            self._take_back()
            raise
        else:
            self._most = min(2 * self._most, 10**9)
        return [job for job in jobs if job.number not in self._ids]

    def _take_back(self) -> None:
        """Leave nothing half-submitted: held arrays would stay so, stages would have no jobs."""
        loose = [one for one in self._ids.items() if one[1] in self._loose]
        with contextlib.suppress(SweepError):
            cluster.cancel([identifier for _, identifier in loose])
            self.sweep.take_back([subject for subject, _ in loose])

    def _try_fewer(self, tried: int, reason: str) -> None:
        """Ask for less room next time: there are limits of which the cluster tells only then."""
        log.info("the cluster accepts no more jobs for now: %s", reason)
        if len(self._ids) == 0 and min(tried, self._most) <= 1:
            self.refused = reason
        self._most = max(1, min(tried, self._most) // 2)

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

    def _missing(self, jobs: Sequence[Job]) -> list[Needed]:
        """The shared stages that ``jobs`` lack and nobody was asked for, in order."""
        lacking = missing(self.sweep, jobs)
        return [needed for key, needed in lacking.items() if key not in self._ids]

    def _submit_stages(self, needed: Sequence[Needed]) -> None:
        """One job a stage, named after it: of all sweeps, one at a time computes it."""
        line = [one for key, one in self._ids.items() if isinstance(key, str)]
        width = lanes(len(line) + len(needed), self.width)
        for one in needed:
            waits = ["singleton", *_own_waits(self.stages)]
            if one.after in self._ids:
                waits.append(f"afterok:{self._ids[one.after]}")
            if len(line) >= width:
                waits.append(f"afterany:{line[-width]}")
            name = f"{one.stage.name}-{one.stage.key}"
            extra = {"dependency": ",".join(waits)}
            (identifier,) = self._sbatch([of_stage(self.sweep, one)], self.stages, name, extra)
            line.append(identifier)
            self._note([Submission(identifier, stage=one.stage.key)])

    def _submit_array(self, jobs: Sequence[Job]) -> None:
        stages = sum(isinstance(key, str) for key in self._ids)
        behind = self._last_array() if self.width is not None else None
        tasks: list[Any] = [of_job(self.sweep, job) for job in jobs]
        throttle = self.width or len(jobs)
        if self.width is not None and stages:
            place = self.sweep.directory.absolute()
            tasks = [Throttled(task, place, self.width) for task in tasks]
            throttle = max(1, self.width - lanes(stages, self.width))
        ids = self._sbatch(tasks, self.jobs, self.array_name, {"hold": True}, throttle)
        self._note([Submission(one, job=job.number) for one, job in zip(ids, jobs, strict=True)])
        array = ids[0].split("_")[0]
        waits: dict[str, list[int]] = {}
        for index, job in enumerate(jobs):
            waits.setdefault(self._dependency(job, behind), []).append(index)
        for dependency, indices in waits.items():
            if dependency:
                cluster.set_dependency(array, indices if len(ids) > 1 else None, dependency)
        cluster.release(array)
        self._loose.clear()

    @property
    def array_name(self) -> str:
        """The name of the sweep's arrays, which no other sweep's have."""
        place = f"{self.sweep.identity} {self.sweep.directory.absolute()}"
        return f"sweep-{hashlib.sha256(place.encode()).hexdigest()[:12]}"

    def _dependency(self, job: Job, behind: str | None) -> str:
        stages = [self._ids[key] for key in self.sweep.plan.needs(job) if key in self._ids]
        waits = _own_waits(self.jobs)
        waits += [f"afterok:{':'.join(stages)}"] if stages else []
        others = [behind] if behind else []
        if self.width == 1:  # a stage and a job would be two at once
            others += [one for key, one in self._ids.items() if isinstance(key, str)]
        if others:
            waits.append(f"afterany:{':'.join(dict.fromkeys(others))}")
        return ",".join(waits)

    def _last_array(self) -> str | None:
        """The array submitted before: throttled ones follow each other."""
        ids = [one for key, one in self._ids.items() if isinstance(key, int)]
        return max((one.split("_")[0] for one in ids), key=int, default=None)

    def _note(self, submissions: Sequence[Submission]) -> None:
        self.sweep.note_submissions(submissions)
        self._ids |= {one.subject: one.id for one in submissions}
        self._loose |= {one.id for one in submissions}

    def _sbatch(
        self,
        tasks: Sequence[Any],
        resources: Resources,
        name: str,
        extra: Mapping[str, Any],
        throttle: int = 1,
    ) -> list[str]:
        own, folder = resources.parameters, self.sweep.cluster_directory.absolute()
        options = {"requeue": True, "kill-on-invalid-dep": "yes"}
        options |= {**(own.get("slurm_additional_parameters") or {}), **extra}
        parameters = {
            **own,
            "name": name,
            "slurm_setup": [*guarded(own.get("slurm_setup") or [], folder), *self._setup()],
            "slurm_additional_parameters": options,
            "slurm_array_parallelism": throttle,
        }
        return sbatch(folder, tasks, parameters, resources.max_num_timeout)

    def _setup(self) -> list[str]:
        """Lines of the batch script: the code as it is now, and no more threads than cores.

        Where SLURM binds no cores, each job would start a thread for every core of its node.
        """
        paths = self.sweep.code.first if self.sweep.code else ()
        joined = shlex.quote(":".join(map(str, paths)))
        return [
            f"export PYTHONPATH={joined}${{PYTHONPATH:+:$PYTHONPATH}}",
            "export OMP_NUM_THREADS=${OMP_NUM_THREADS:-${SLURM_CPUS_PER_TASK:-1}}",
        ]


def _own_waits(resources: Resources) -> list[str]:
    """What the user wants jobs to wait for, besides what they wait for anyway."""
    options = resources.parameters.get("slurm_additional_parameters") or {}
    return [str(options["dependency"])] if options.get("dependency") else []
