"""What our launchers have in common: they launch a planned sweep, from its sweep."""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

if TYPE_CHECKING:
    from rich.console import RenderableType

    from sanity.sweep.pace import Capacity
    from sanity.sweep.plan import Job
    from sanity.sweep.scheduler import Scheduler
    from sanity.sweep.states import State
    from sanity.sweep.sweep import Sweep


class SweepLauncher(Launcher):
    """Launches jobs of a sweep; under a sweeper of others it writes the sweep itself."""

    config: DictConfig
    hydra_context: HydraContext

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Hydra's part: what is to be run, and how it was configured."""
        del task_function  # a job is run.py with other overrides, in a process of its own
        self.hydra_context, self.config = hydra_context, config

    @abstractmethod
    def capacity(self) -> "Capacity":
        """What there is to run jobs on, for estimates of time."""

    @abstractmethod
    def scheduler(self, sweep: "Sweep") -> "Scheduler":
        """What runs the jobs of ``sweep``."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """Those of ``hydra.launcher``, for the scheduler."""
        return {}

    def start(
        self,
        sweep: "Sweep",
        jobs: "Sequence[Job]",
        table: "Callable[[], RenderableType] | None" = None,
    ) -> "Scheduler":
        """Have ``jobs`` run, by the scheduler that is given back; ``table`` is shown meanwhile."""
        from sanity.sweep.scheduler import Request

        sweep.forget_failures(jobs)
        scheduler = self.scheduler(sweep)
        device = str(self.config.device)
        scheduler.start(jobs, Request(self.capacity(), device, self.settings, table))
        return scheduler

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """What sweepers of others (Optuna, Ax, ...) call, batch by batch."""
        from sanity.core import shutdown
        from sanity.core.errors import ConfigError
        from sanity.core.files import digest
        from sanity.sweep import launch
        from sanity.sweep.states import look

        plan = launch.plan_jobs(self.config, self.hydra_context.config_loader, job_overrides)
        if plan.left_out:  # the sweeper counts on an answer to each of its questions
            raise ConfigError(plan.left_out[0].reason)
        config = deepcopy(self.config)  # each batch is a sweep, numbered from 0
        if config.sweep.name is None:  # but for trackers all batches are one
            config.sweep.name = f"sweep-{digest(str(config.hydra.sweep.dir))[:6]}"
        config.hydra.sweep.dir = str(Path(config.hydra.sweep.dir) / f"batch_{initial_job_idx}")
        shutdown.work_begins()
        sweep = launch.open_sweep(config, plan)
        with sweep.locked():
            jobs = [state.job for state in look(sweep) if state.word != "done"]
            if jobs:
                sweep = launch.freeze(sweep, self.hydra_context.config_loader)
                scheduler = self.start(sweep, jobs)
        states = scheduler.finish() if jobs else look(sweep)
        return [_returned(state) for state in states or ()]


def _returned(state: "State") -> JobReturn:
    """A job's end as Hydra wants it: the accuracy, or an error for sweepers to see."""
    from sanity.core.errors import SweepError

    metrics: Any = state.metrics
    found = JobReturn(overrides=list(state.job.overrides), cfg=None, hydra_cfg=None)
    if state.word == "done":
        found.status = JobStatus.COMPLETED
        found.return_value = metrics.get("validation_accuracy", metrics.get("test_accuracy"))
    else:
        found.status = JobStatus.FAILED
        found.return_value = SweepError(f"job {state.job.number}: {state.why or state.word}")
    return found
