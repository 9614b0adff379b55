"""The sweeper: every combination of a grid, or of several, as long as it means something."""

import dataclasses
import functools
import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from .base import SweepLauncher

if TYPE_CHECKING:
    from sanity.sweep.pace import Capacity
    from sanity.sweep.plan import Job
    from sanity.sweep.snapshot import Snapshot
    from sanity.sweep.states import State
    from sanity.sweep.sweep import Sweep

SHOWN = 100  # jobs that a plan lists one by one

log = logging.getLogger(__name__)


class SanitySweeper(Sweeper):
    """Plans before anything starts, goes on with what was begun, and reports every failure."""

    config: DictConfig
    hydra_context: HydraContext
    launcher: Launcher

    def __init__(self, **unread: Any) -> None:
        self.unread = unread

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Hydra's part: the configuration, and the launcher that it asks for."""
        from sanity.core.errors import ConfigError
        from sanity.sweep.job import PlannedJob

        for name in self.unread:
            raise ConfigError(
                f"hydra.sweeper.{name}: no such setting; a grid is typed, as in seed=0,1 with -m, "
                "or stands in a file's sweep.grid"
            )
        self.hydra_context, self.config = hydra_context, config
        self._code: Snapshot | None = None
        self._task = PlannedJob(task_function)
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=self._task, config=config
        )

    def sweep(self, arguments: list[str]) -> Any:
        """Plan the grid, run what is missing of it, and report what came out."""
        from sanity import trackers
        from sanity.core import shutdown
        from sanity.core.console import echo
        from sanity.decide import run as decide
        from sanity.report.end_of_sweep import finish
        from sanity.stats.looks import FIRST
        from sanity.sweep import growth, launch, show
        from sanity.sweep.cost import cost_of
        from sanity.sweep.states import look

        plan = launch.plan(self.config, self.hydra_context.config_loader, arguments)
        if self.config.sweep.plan:
            store_dir = launch.absolute(self.config.store_dir)
            cost = cost_of(plan, store_dir, self._capacity())
            first = None
            if plan.seeds:
                soon = plan.only(plan.of_look(FIRST))
                first = cost_of(soon, store_dir, self._capacity())
            echo(show.jobs(plan, SHOWN), show.plan(plan, cost, first))
            return None
        shutdown.work_begins()
        sweep = launch.open_sweep(self.config, plan)
        if sweep.seen:
            log.info("%s: p-values count double; other seeds, as in seed=100, do not", growth.SEEN)
        echo(show.jobs_line(plan), *show.left_out(plan))
        chosen = {text for job in plan.jobs for text in job.overrides if "tracker=" in text}
        if chosen <= set(arguments):  # a grid's own are another matter: its jobs tell in their logs
            trackers.say_where(trackers.build(self.config), sweep.name)
        if sweep.grows:
            ended = decide.run(sweep, self._start)
            if ended is not None:
                finish(ended, look(ended))
            return None
        with sweep.locked():
            before = look(sweep)
            jobs = [state.job for state in before if state.word != "done"]
            if len(jobs) < len(before):
                log.info(
                    "going on in %s: %d jobs are done", sweep.directory, len(before) - len(jobs)
                )
            end = self._start(sweep, jobs) if jobs else None
        states = end() if end else before
        if states is not None:
            finish(sweep, states)
        return None

    def _capacity(self) -> "Capacity":
        """What the launcher runs jobs on; those of others are taken for Hydra's, one by one."""
        from sanity.sweep.pace import own

        if isinstance(self.launcher, SweepLauncher):
            return self.launcher.capacity()
        return own(self.config.device, self.config.threads)

    def _start(
        self, sweep: "Sweep", jobs: "Sequence[Job]"
    ) -> "Callable[[], Sequence[State] | None]":
        """Have ``jobs`` run; gives what waits for their end. Whoever calls it holds the lock."""
        from sanity.cli.overrides import quoted
        from sanity.decide.table import Live
        from sanity.sweep import launch, scheduler
        from sanity.sweep.compose import in_directory
        from sanity.sweep.cost import cost_of
        from sanity.sweep.job import keys_of
        from sanity.sweep.states import look

        if self._code is None:  # once: later looks go on from it
            self._code = launch.freeze(sweep, self.hydra_context.config_loader).code
        sweep = dataclasses.replace(sweep, code=self._code)
        if isinstance(self.launcher, SweepLauncher):
            table = Live(sweep) if sweep.grows else None
            return self.launcher.start(sweep, jobs, table).finish
        sweep.forget_failures(jobs)
        scheduler.of(sweep).withdraw(jobs)
        self._task.keys = {job.directory: keys_of(job) for job in jobs}
        if (cost := cost_of(sweep.plan, sweep.store_dir, self._capacity())).total is not None:
            log.info("%s", cost.estimate())
        place = str(sweep.directory)
        name = f"sweep.name={quoted(sweep.name)}"
        overrides = [[*job.overrides, name, *in_directory(place, job.directory)] for job in jobs]
        self.launcher.launch(overrides, initial_job_idx=jobs[0].number)
        return functools.partial(look, sweep)
