"""What a sweep comes to before anything is started: its jobs, and the stages that they share."""

import contextlib
import dataclasses
import functools
import operator
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from omegaconf import DictConfig, OmegaConf

from sanity import trackers
from sanity.core.config import CHOSEN
from sanity.core.errors import CombinationError, ConfigError
from sanity.experiment.experiment import Experiment, build
from sanity.experiment.unread import locating
from sanity.experiment.validation import validate
from sanity.identity import Code
from sanity.stages.chain import chain
from sanity.stages.stage import TRAIN_DENSE, TRAIN_TICKET, StageId, costs_like
from sanity.stats import criteria
from sanity.stats.criteria import Criteria
from sanity.sweep.compose import Composer, directory_of

READ_FROM_IMAGES = ("dataset.num_classes", "dataset.image_size")
SEED = re.compile(r"seed=\d{1,18}")  # longer ones are checked as any setting is


@dataclass(frozen=True)
class Job:
    """One run of a sweep: the overrides that make it, its directory, and its stages in order.

    ``epochs`` are those of its recipe, ``start`` the one at which its tickets start, ``workload``
    names what an epoch of it costs.
    """

    number: int
    overrides: tuple[str, ...]
    directory: str
    stages: tuple[StageId, ...]
    choices: Mapping[str, str]
    sparsity: float | None
    seed: int
    epochs: int
    workload: str
    start: int = 0

    def epochs_of(self, stage: StageId) -> range:
        """The epochs that one of its trainings lasts."""
        return range(self.start if stage.kind == TRAIN_TICKET else 0, self.epochs)

    def costs_like(self, stage: StageId) -> str:
        """Names the trainings whose epochs cost about what those of ``stage`` do."""
        return costs_like(stage.kind, self.workload)

    @property
    def training(self) -> list[StageId]:
        """The stages that train a network, in order."""
        return [stage for stage in self.stages if stage.trains]


@dataclass(frozen=True)
class LeftOut:
    """A combination of the grid that means nothing, and why."""

    overrides: tuple[str, ...]
    reason: str


@dataclass(frozen=True)
class Needed:
    """A stage that a sweep shares: the job whose settings compute it, and what comes before it.

    ``after`` is the shared stage that this one goes on from (IMP's rounds), if any.
    """

    stage: StageId
    job: Job
    after: str | None


@dataclass(frozen=True)
class Plan:
    """All jobs of a sweep, what was left out of its grid, and the user's own code in them.

    ``seeds`` are those that it may come to, in their order, where it grows until its questions are
    decided: its jobs are then those of all of them, look by look. Code and ``criteria`` are known
    where it was planned, and not where it is read from a file; of jobs that state several there are
    no criteria.
    """

    title: str
    jobs: tuple[Job, ...]
    left_out: tuple[LeftOut, ...] = ()
    seeds: tuple[int, ...] = ()
    code: Code = field(default_factory=Code, compare=False)
    criteria: Criteria | None = field(default=None, compare=False)

    def of_look(self, seeds: int) -> list[Job]:
        """The jobs of the first so many seeds."""
        first = {*self.seeds[:seeds]}
        return [job for job in self.jobs if job.seed in first]

    def only(self, jobs: Collection[Job]) -> "Plan":
        """The same plan of some of its jobs."""
        numbers = {job.number for job in jobs}
        kept = tuple(job for job in self.jobs if job.number in numbers)
        return dataclasses.replace(self, jobs=kept)

    @cached_property
    def shared(self) -> dict[str, Needed]:
        """By key: the training stages that several jobs need, and every dense one.

        Each is worth a job of its own, so that no job waits for another in mid-run.
        """
        uses = Counter(stage.key for job in self.jobs for stage in {*job.training})
        found: dict[str, Needed] = {}
        for job in self.jobs:
            before = None
            for stage in job.training:
                several, last = uses[stage.key] > 1, stage == job.stages[-1]
                is_dense = stage.kind == TRAIN_DENSE
                worth_a_job = (several or not last) if is_dense else (several and not last)
                if not worth_a_job:
                    continue
                if stage.key not in found or _remembers_more(job, found[stage.key].job):
                    found[stage.key] = Needed(stage, job, before)
                before = stage.key
        return found

    def needs(self, *jobs: Job) -> list[str]:
        """The keys of the shared stages that ``jobs`` go through, in order, each once."""
        keys = (stage.key for job in jobs for stage in job.training if stage.key in self.shared)
        return list(dict.fromkeys(keys))


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
        return Job(
            number=number,
            overrides=tuple(overrides),
            directory=directory_of(self._subdirectory, number, seed, composed),
            stages=tuple(stage.id for stage in chain(experiment)),
            choices={group: str(composed.choices.get(group)) for group in CHOSEN},
            sparsity=experiment.ratio.sparsity,
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


def _remembers_more(job: Job, other: Job) -> bool:
    """Whether ``job``'s dense training also keeps the weights that a later rewind asks for."""
    return job.choices["rewind"] == "epoch" != other.choices["rewind"]


def differing(jobs: Sequence[Job]) -> dict[int, dict[str, str]]:
    """Of each job, by number, the settings in which the jobs of a sweep differ, by name."""
    settings = [dict(text.split("=", 1) for text in job.overrides if "=" in text) for job in jobs]
    names = list(dict.fromkeys(name for one in settings for name in one))
    varied = [name for name in names if len({one.get(name) for one in settings}) > 1]
    return {
        job.number: {name: one[name] for name in varied if name in one}
        for job, one in zip(jobs, settings, strict=True)
    }
