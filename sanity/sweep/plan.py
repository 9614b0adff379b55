"""What a sweep comes to before anything is started: its jobs, and the stages that they share."""

import dataclasses
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from sanity.identity import Code
from sanity.stages.stage import TRAIN_DENSE, TRAIN_TICKET, StageId, costs_like
from sanity.stats.criteria import Criteria


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
