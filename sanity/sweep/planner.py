"""From the overrides of a grid to its plan: what is wrong is told before anything is started."""

import contextlib
import dataclasses
import functools
import operator
import re
from collections import Counter
from collections.abc import Sequence

from omegaconf import DictConfig, OmegaConf

from sanity import trackers
from sanity.core.config import CHOSEN
from sanity.core.errors import CombinationError, ConfigError
from sanity.experiment.experiment import Experiment, build
from sanity.experiment.unread import locating
from sanity.experiment.validation import validate
from sanity.identity import Code
from sanity.stages.chain import chain
from sanity.stats import criteria
from sanity.stats.criteria import Criteria
from sanity.sweep.compose import Composer, directory_of
from sanity.sweep.plan import Job, LeftOut, Plan

SPARSITY = "ratio.sparsity"
READ_FROM_IMAGES = ("dataset.num_classes", "dataset.image_size")
SEED = re.compile(r"seed=\d{1,18}")  # longer ones are checked as any setting is

Batch = tuple[Sequence[Sequence[str]], Sequence[Sequence[str]]]
"""The overrides of jobs of a grid, and of the controls beside it."""


class Planner:
    """Plans jobs from their overrides; what two jobs have in common is worked out once."""

    def __init__(self, composer: Composer, subdirectory: str) -> None:
        self._composer, self._subdirectory = composer, subdirectory
        self._experiments: dict[tuple[str, ...], Experiment] = {}
        self._criteria: set[Criteria] = set()

    def __call__(self, title: str, *batches: Batch, seeds: Sequence[int] = ()) -> Plan:
        """The plan of a grid; raises ConfigError for a setting that is wrong in any job.

        One that grows comes in ``batches``, a look each. Combinations that mean nothing are left
        out; a grid of nothing else is an error. Controls that the grid has already, by whatever
        settings, are not planned twice, and those that cannot be made of what is asked for are left
        out.
        """
        jobs: list[Job] = []
        left_out: list[LeftOut] = []
        for batch in batches:
            without = self._add(jobs, batch)
            left_out = left_out or without  # of other seeds it is the same
        for directory, uses in Counter(job.directory for job in jobs).items():
            if uses > 1:
                raise ConfigError(
                    f"hydra.sweep.subdir={self._subdirectory}: gives {uses} jobs the directory "
                    f"{directory}; let it contain ${{hydra.job.num}}"
                )
        if len(self._criteria) > 1 and any(one.grows for one in self._criteria):
            raise ConfigError(
                "verdict: a sweep that goes on until questions are decided has one set of these "
                "settings, and its jobs have several"
            )
        code = functools.reduce(
            operator.or_, (one.code for one in self._experiments.values()), Code()
        )
        rules = next(iter(self._criteria)) if len(self._criteria) == 1 else None
        return Plan(title, tuple(jobs), tuple(left_out), tuple(seeds), code, rules)

    def grows(self, grid: Sequence[Sequence[str]]) -> bool:
        """Whether jobs of a grid are to be added until questions are decided."""
        with contextlib.suppress(ConfigError):  # which is told where the job is planned
            return any(criteria.of(self._composer(one).cfg).grows for one in grid[:1])
        return False

    def _add(self, jobs: list[Job], batch: Batch) -> list[LeftOut]:
        """Add the jobs of a batch; returns what means nothing."""
        grid, controls = batch
        left_out, before = [], len(jobs)
        for overrides in grid:
            try:
                jobs.append(self._job(len(jobs), overrides))
            except CombinationError as problem:
                left_out.append(LeftOut(tuple(overrides), str(problem)))
            except ConfigError as problem:
                raise type(problem)(f"{problem} (job: {' '.join(overrides)})") from None
        if left_out and len(jobs) == before:
            raise ConfigError(left_out[0].reason)
        planned = {job.stages[-1].key for job in jobs}
        for overrides in controls:
            try:
                job = self._job(len(jobs), overrides)
            except ConfigError as problem:
                left_out.append(LeftOut(tuple(overrides), f"control: {problem}"))
            else:
                jobs += [job] if job.stages[-1].key not in planned else []
                planned.add(job.stages[-1].key)
        return left_out

    def _job(self, number: int, overrides: Sequence[str]) -> Job:
        # Seeds change neither what a job is made of nor whether it makes sense.
        seeds = [text for text in overrides if SEED.fullmatch(text)]
        rest = tuple(text for text in overrides if text not in seeds)
        composed = self._composer(rest)
        if any("seed" in text for text in rest) or composed.names_seed:  # but where they are read
            rest = tuple(overrides)
            composed = self._composer(rest)
        if rest not in self._experiments:
            with locating(composed.found):
                self._criteria.add(criteria.of(composed.cfg))
                self._experiments[rest] = _build(composed.cfg)
        experiment = self._experiments[rest]
        seed = int(seeds[-1].split("=")[1]) if seeds else experiment.settings.seed
        experiment = dataclasses.replace(
            experiment, settings=dataclasses.replace(experiment.settings, seed=seed)
        )
        asked = OmegaConf.select(composed.cfg, SPARSITY)
        known = {SPARSITY: experiment.sparsity} if isinstance(asked, str | None) else {}
        return Job(
            number=number,
            overrides=tuple(overrides),
            directory=directory_of(self._subdirectory, number, seed, composed, known),
            stages=tuple(stage.id for stage in chain(experiment)),
            choices={group: str(composed.choices.get(group)) for group in CHOSEN},
            sparsity=None if isinstance(asked, str) else experiment.ratio.sparsity,
            seed=seed,
            epochs=experiment.recipe.epochs,
            workload=experiment.workload,
            start=experiment.start_epoch,
        )


def _build(cfg: DictConfig) -> Experiment:
    """The experiment of a job, once it is seen to make sense; ``cfg`` is left as it is."""
    before = {name: OmegaConf.select(cfg, name) for name in READ_FROM_IMAGES}
    trackers.build(cfg)  # a wrong setting of theirs would fail every job
    try:
        experiment = build(cfg)
    finally:
        for name, value in before.items():  # the next job may have other images
            OmegaConf.update(cfg, name, value)
    validate(experiment)
    return experiment
