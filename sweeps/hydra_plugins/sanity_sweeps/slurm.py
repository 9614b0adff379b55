"""hydra/launcher=slurm: submit to SLURM, through hydra-submitit-launcher's parameters."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hydra.types import HydraContext, TaskFunction
from hydra_plugins.hydra_submitit_launcher.config import BaseQueueConf, SlurmQueueConf
from hydra_plugins.hydra_submitit_launcher.submitit_launcher import SlurmLauncher as Submitit
from omegaconf import DictConfig, OmegaConf

from .base import SweepLauncher

if TYPE_CHECKING:
    from sanity.sweep.pace import Capacity
    from sanity.sweep.plan import Job
    from sanity.sweep.slurm.submit import Resources, Submitter
    from sanity.sweep.states import State
    from sanity.sweep.sweep import Sweep

OURS = ("wait", "stage", "array_parallelism", "max_submit", "max_num_timeout")
COMMON = set(OmegaConf.structured(BaseQueueConf).keys())
KNOWN = {*OURS, *OmegaConf.structured(SlurmQueueConf).keys()}


class SlurmLauncher(SweepLauncher, Submitit):
    """Submits shared stages and jobs, and waits for them unless ``wait`` is false.

    ``stage`` holds the resources of shared stages where they differ from those of jobs.
    """

    def __init__(self, **params: Any) -> None:
        Submitit.__init__(self, **params)

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Refuse before anything is planned where there is no SLURM."""
        from sanity.sweep.launch import sweep_directory
        from sanity.sweep.slurm import cluster
        from sanity.sweep.slurm.requests import validate, validate_directory

        SweepLauncher.setup(
            self, hydra_context=hydra_context, task_function=task_function, config=config
        )
        validate(self.params)
        for group in ("", ".stage"):
            self._refuse_unknown(group)
        validate_directory(sweep_directory(config))
        if not config.sweep.plan:
            cluster.require()

    def capacity(self) -> "Capacity":
        """``array_parallelism`` jobs at a time, or as many as there is room for."""
        from sanity.sweep.pace import Capacity, kind_of

        gpus = self.params["gpus_per_node"] or self.params["gres"]
        chosen = "cuda" if gpus else "cpu"
        device = chosen if self.config.device == "auto" else kind_of(self.config.device)
        return Capacity(self.params["array_parallelism"], self.params["cpus_per_task"] or 1, device)

    def _refuse_unknown(self, group: str) -> None:
        from submitit.slurm.slurm import SlurmExecutor

        from sanity.core.config import unknown_setting
        from sanity.core.errors import ConfigError

        known = KNOWN | SlurmExecutor._valid_parameters()
        for name in (self.params["stage"] or {}) if group else self.params:
            if name not in known:
                raise ConfigError(
                    unknown_setting(f"hydra.launcher{group}", name, known)
                    + ", or give it to sbatch in additional_parameters"
                )

    def start(self, sweep: "Sweep", jobs: "Sequence[Job]") -> None:
        """Submit what is missing; jobs of which all is in the store are run here, in seconds."""
        from sanity.sweep import local
        from sanity.sweep.forecast import forecast
        from sanity.sweep.progress import progress
        from sanity.sweep.slurm import follow
        from sanity.sweep.slurm.requests import validate_directory
        from sanity.sweep.states import in_store

        validate_directory(sweep.directory)
        stored = [
            job for job in jobs if all(in_store(sweep.store_dir, stage) for stage in job.stages)
        ]
        if stored:
            with progress(forecast(sweep, stored, self.capacity()), len(stored)) as bar:
                local.run_jobs(sweep, stored, 1, [], bar)
        here = {job.number for job in stored}
        missing = [job for job in jobs if job.number not in here]
        self._submitter = self._make_submitter(sweep)
        self._waiting = follow.start(self._submitter, missing) if missing else []

    def finish(self, sweep: "Sweep") -> "Sequence[State] | None":
        """Wait for the jobs, or say how to look after them."""
        from sanity.sweep.forecast import forecast
        from sanity.sweep.progress import progress
        from sanity.sweep.slurm import follow

        if not self.params["wait"]:
            follow.say_goodbye(sweep, len(self._waiting))
            return None
        jobs = sweep.plan.jobs
        with progress(forecast(sweep, jobs, self.capacity()), len(jobs)) as bar:
            return follow.wait(self._submitter, self._waiting, bar)

    def _make_submitter(self, sweep: "Sweep") -> "Submitter":
        from sanity.sweep.slurm import cluster
        from sanity.sweep.slurm.submit import Submitter

        limits = cluster.limits()
        if (own := self.params["max_submit"]) is not None:
            limits = replace(limits, submit=own)
        return Submitter(
            sweep=sweep,
            jobs=self._resources({}),
            stages=self._resources(self.params["stage"] or {}),
            limits=limits,
            width=self.params["array_parallelism"],
        )

    def _resources(self, own: dict[str, Any]) -> "Resources":
        from sanity.sweep.slurm.submit import Resources

        values = {**self.params, **own}
        named = {
            name if name in COMMON else f"slurm_{name}": value
            for name, value in values.items()
            if name not in OURS and value is not None
        }
        return Resources(named, values["max_num_timeout"])
