"""What runs in a process of its own: a job of a sweep, or a stage that jobs share.

A job is what ``python run.py <overrides> hydra.run.dir=<directory>`` does, so that any job can be
repeated by hand. Its overrides stand in its ``.hydra/overrides.yaml``.
"""

import contextlib
import functools
import logging
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra import version
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path, get_args_parser
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig
from submitit.helpers import Checkpointable, environment_variables

from sanity.cli import entry as cli
from sanity.cli.entry import FULL_ERROR
from sanity.cli.overrides import quoted
from sanity.core import pending
from sanity.core.config import HOME, PROJECT
from sanity.core.errors import ConfigError
from sanity.stages.stage import Planned
from sanity.sweep.plan import Job, Needed
from sanity.sweep.sweep import Sweep

OUTPUT = "output.log"


@dataclass(frozen=True)
class Task(Checkpointable):
    """One process's work: ``arguments`` are those of run.py, ``planned`` what it is held to.

    Before a time limit submitit queues it again; stages go on from their checkpoints.
    """

    directory: Path
    arguments: tuple[str, ...]
    planned: Planned
    project: str = str(PROJECT)  # where it was submitted, which is not where it runs

    def __call__(self) -> None:
        """Run it; raises what it raises, with its traceback in the output."""
        os.environ.setdefault(HOME, self.project)
        logging.getLogger("submitit").propagate = False  # it has a handler, and we have one
        run(self.arguments, self.planned)


@dataclass
class PlannedJob:
    """What launchers of others call for each job: it is held to the keys that were planned.

    ``keys`` are those of the stages by name, by the job's directory in the sweep's.
    """

    function: Callable[[DictConfig], Any]
    keys: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def __call__(self, cfg: DictConfig) -> Any:
        """Run a job; without a plan, as it would be by itself."""
        keys = self.keys.get(str(HydraConfig.get().sweep.subdir))
        if keys is None:
            return self.function(cfg)
        from sanity import pipeline

        return cli.job(functools.partial(pipeline.run, planned=Planned(keys)), cfg)


def keys_of(job: Job) -> dict[str, str]:
    """The keys of a job's stages, by their names."""
    return {stage.name: stage.key for stage in job.stages}


def of_job(sweep: Sweep, job: Job) -> Task:
    """The task that runs a job in its directory."""
    return _task(sweep, job, sweep.directory_of(job), None)


def of_stage(sweep: Sweep, needed: Needed) -> Task:
    """The task that computes a shared stage and leaves it in the store."""
    directory = sweep.stage_directory(needed.stage)
    return _task(sweep, needed.job, directory, needed.stage.name)


def _task(sweep: Sweep, job: Job, directory: Path, last: str | None) -> Task:
    place = f"hydra.run.dir={quoted(str(directory.absolute()))}"
    name = f"sweep.name={quoted(sweep.name)}"
    arguments = (*job.overrides, *sweep.arguments, name, "hydra.job.name=run", place)
    copy = sweep.code.config_dir if sweep.code else None
    options = {"--config-dir": copy or sweep.config_dir, "--config-name": sweep.config_name}
    given = [text for name, value in options.items() if value for text in (name, str(value))]
    return Task(directory, (*given, *arguments), Planned(keys_of(job), last))


def run(arguments: Sequence[str], planned: Planned) -> None:
    """Do in this process what ``run.py`` does with the arguments of a job.

    ``hydra.main`` would compose the configuration twice, the first time to learn that this is no
    sweep: half of the time of a job that finds all its results.
    """
    from sanity import pipeline

    given = get_args_parser().parse_args(arguments)
    places = create_config_search_path(str(PROJECT / "conf"))
    if given.config_dir is not None:
        directory = Path(given.config_dir).absolute()
        if not directory.is_dir():
            raise ConfigError(f"--config-dir {directory}: is not there")
        places.prepend("command-line", f"file://{directory}", SearchPathQuery(provider="schema"))
    version.setbase("1.3")
    GlobalHydra.instance().clear()
    program = str(PROJECT / "run.py")
    with environment_variables(**{FULL_ERROR: "1"}), _arguments([program, *arguments]):
        try:
            Hydra.create_main_hydra2("run", places).run(
                given.config_name or "config",
                lambda cfg: pipeline.run(cfg, planned=planned),
                [*given.overrides, "hydra.mode=RUN"],
            )
        finally:
            GlobalHydra.instance().clear()
            pending.settle()


def run_quietly(task: Task, device: str | None = None) -> bool:
    """Run a task with its output in ``output.log``; whether it succeeded.

    For workers that share a terminal. Whatever goes wrong is in the log, and known errors are in
    the record; only an interruption goes further.
    """
    task.directory.mkdir(parents=True, exist_ok=True)
    more = () if device is None else (f"device={device}",)
    with (
        (task.directory / OUTPUT).open("a", encoding="utf-8", buffering=1) as file,
        contextlib.redirect_stdout(file),
        contextlib.redirect_stderr(file),
    ):
        try:
            run((*task.arguments, *more), task.planned)
        except Exception:
            traceback.print_exc()
            return False
    return True


@contextlib.contextmanager
def _arguments(arguments: list[str]) -> Iterator[None]:
    before, sys.argv = sys.argv, arguments
    try:
        yield
    finally:
        sys.argv = before
