"""SLURM, as a scheduler of a sweep's jobs."""

import dataclasses
import logging
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from hydra_plugins.hydra_submitit_launcher.config import BaseQueueConf
from omegaconf import OmegaConf

from sanity.core.errors import SweepError
from sanity.sweep import local
from sanity.sweep.forecast import forecast
from sanity.sweep.plan import Job
from sanity.sweep.progress import progress
from sanity.sweep.scheduler import Poll, Request, Scheduler
from sanity.sweep.slurm import again, cluster, follow
from sanity.sweep.slurm.poll import active_ids, seen
from sanity.sweep.slurm.requests import OURS, validate_directory
from sanity.sweep.slurm.submit import Resources, Submitter
from sanity.sweep.states import State, in_store
from sanity.sweep.sweep import Sweep

log = logging.getLogger(__name__)


class Slurm(Scheduler):
    """Submits by sbatch, asks squeue, and sacct of what has ended; ends jobs by scancel."""

    def start(self, jobs: Sequence[Job], request: Request) -> None:
        """Submit what is missing; jobs of which all is in the store are run here, in seconds."""
        validate_directory(self.sweep.directory)
        if self.sweep.grows:
            again.write(self.sweep, request)
        store_dir = self.sweep.store_dir
        stored = [job for job in jobs if all(in_store(store_dir, stage) for stage in job.stages)]
        if stored:
            ahead = forecast(self.sweep, stored, request.capacity)
            with progress(ahead, len(stored)) as bar:
                local.run_jobs(self.sweep, stored, 1, [], bar)
        here = {job.number for job in stored}
        missing = [job for job in jobs if job.number not in here]
        self._request, self._submitter = request, _submitter(self.sweep, request.settings)
        self._waiting = follow.start(self._submitter, missing) if missing else []

    def finish(self) -> Sequence[State] | None:
        """Wait for the jobs, or say how to look after them."""
        if not self._request.settings["wait"]:
            follow.say_goodbye(self.sweep, len(self._waiting))
            return None
        jobs = self.sweep.plan.jobs
        ahead = forecast(self.sweep, jobs, self._request.capacity)
        with progress(ahead, len(jobs), table=self._request.table) as bar:
            states = follow.wait(self._submitter, self._waiting, bar)
        if self.sweep.grows and not again.is_known(self.sweep):
            raise SweepError("the sweep was cancelled; the same command goes on with it")
        return states

    def poll(self) -> Poll:
        """A controller that does not answer is told, and its jobs are then not known."""
        submitted = self.sweep.latest()
        try:
            queue = cluster.queue()
        except SweepError as error:
            log.warning("%s", error)
            return seen(self.sweep, None)
        return seen(
            self.sweep, queue, cluster.ended(one for one in submitted.values() if one not in queue)
        )

    def cancel(self) -> int:
        """What jobs have reached stays in the store."""
        again.forget(self.sweep)
        active = sorted(set(active_ids(self.sweep, cluster.queue()).values()))
        cluster.cancel(active)
        return len(active)

    def withdraw(self, jobs: Sequence[Job]) -> None:
        """Jobs that SLURM does not have any more."""
        try:
            active = active_ids(self.sweep, cluster.queue())
        except SweepError:  # SLURM cannot be asked from here
            active = {}
        if active:
            place = shlex.quote(str(self.sweep.directory))
            raise SweepError(
                f"SLURM still has {len(active)} jobs of this sweep: go on with "
                f"hydra/launcher=slurm, or end them first: python -m sanity.sweep cancel {place}"
            )
        again.forget(self.sweep)
        self.sweep.withdraw(jobs)


def _submitter(sweep: Sweep, settings: Mapping[str, Any]) -> Submitter:
    """What submits by the launcher's ``settings``, within what the cluster accepts."""
    limits = cluster.limits()
    if (own := settings["max_submit"]) is not None:
        limits = dataclasses.replace(limits, submit=own)
    return Submitter(
        sweep=sweep,
        jobs=_resources(settings),
        stages=_resources({**settings, **(settings["stage"] or {})}),
        limits=limits,
        width=settings["array_parallelism"],
    )


def _resources(settings: Mapping[str, Any]) -> Resources:
    """Settings by the names that submitit has for them."""
    common = {*OmegaConf.structured(BaseQueueConf)}
    named = {
        name if name in common else f"slurm_{name}": value
        for name, value in settings.items()
        if name not in OURS and value is not None
    }
    return Resources(named, settings["max_num_timeout"])
