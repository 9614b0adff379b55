"""What is left of a sweep: from its plan at once, by what its own epochs take as it goes on."""

import itertools
import statistics
import time
from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sanity.stages.stage import StageId
from sanity.sweep.pace import Capacity, Span, paces
from sanity.sweep.plan import Job
from sanity.sweep.scheduler import Subject
from sanity.sweep.states import Position, in_store, missing, position
from sanity.sweep.sweep import Sweep

RECENT = 50  # epochs, and runs, by which the time of the next is judged


@dataclass(frozen=True)
class Work:
    """What a job, or a shared stage by itself, still has to train, and in which directory.

    ``epochs`` are those of each of its own trainings, by the stage's name, and ``costs_like`` says
    what these cost; ``after`` are the keys of shared stages that go before.
    """

    directory: Path
    epochs: Mapping[str, range]
    costs_like: Mapping[str, str]
    after: Sequence[str] = ()

    @property
    def total(self) -> int:
        return sum(map(len, self.epochs.values()))

    def left(self, at: Position | None) -> dict[str, int]:
        """How many epochs of each of its trainings are left when it stands there."""
        found = {name: len(epochs) for name, epochs in self.epochs.items()}
        if at is not None and at.stage in found:
            found |= dict.fromkeys(itertools.takewhile(lambda name: name != at.stage, found), 0)
            epochs = self.epochs[at.stage]
            found[at.stage] -= min(max(at.epoch - epochs.start, 0), len(epochs))
        return found


def outstanding(sweep: Sweep, jobs: Sequence[Job]) -> dict[Subject, Work]:
    """What is left to train for ``jobs``: shared stages by key, jobs by number."""
    plan, shared = sweep.plan, missing(sweep, jobs)
    found: dict[Subject, Work] = {}
    for key, needed in shared.items():
        stage, job = needed.stage, needed.job
        first = [needed.after] if needed.after in shared else []
        found[key] = _work(sweep.stage_directory(stage), job, [stage], first)
    for job in jobs:
        own = [stage for stage in job.training if stage.key not in plan.shared]
        lacking = [stage for stage in own if not in_store(sweep.store_dir, stage)]
        before = [key for key in plan.needs(job) if key in shared]
        found[job.number] = _work(sweep.directory_of(job), job, lacking, before)
    return found


def _work(directory: Path, job: Job, stages: Sequence[StageId], after: Sequence[str]) -> Work:
    epochs = {stage.name: job.epochs_of(stage) for stage in stages}
    return Work(directory, epochs, {stage.name: job.costs_like(stage) for stage in stages}, after)


def forecast(sweep: Sweep, jobs: Sequence[Job], capacity: Capacity) -> "Forecast":
    """What is left for ``jobs``, by what the store knows of such epochs."""
    known = paces(sweep.store_dir, capacity)
    return Forecast(outstanding(sweep, jobs), {name: pace.seconds for name, pace in known.items()})


class Forecast:
    """The time that is left for ``work``; ``paces`` are an epoch's seconds as the store knows it.

    What the sweep's own epochs take replaces them, and what its runs need beside their epochs is
    learned from those that have ended.
    """

    def __init__(self, work: Mapping[Subject, Work], paces: Mapping[str, Span]) -> None:
        self.work = work
        self._stored = dict(paces)
        self._measured: dict[str, deque[float]] = {}
        self._at: dict[Subject, Position | None] = {}
        self._since: dict[Subject, float] = {}
        self._beside: deque[float] = deque(maxlen=RECENT)
        self._first: set[Subject] | None = None

    @property
    def shared(self) -> list[str]:
        """The keys of the stages that are computed by themselves."""
        return [subject for subject in self.work if isinstance(subject, str)]

    def look(self, running: Collection[Subject]) -> None:
        """See how far those are that run now."""
        now = time.monotonic()
        if self._first is None:  # a worker's first run imports what the others find imported
            self._first = set(running)
        for subject in [one for one in self._since if one not in running]:
            self._learn_beside(subject, now - self._since.pop(subject))
        for subject in running:
            if (work := self.work.get(subject)) is None:
                continue
            self._since.setdefault(subject, now)
            before, at = self._at.get(subject), position(work.directory)
            self._at[subject] = at
            if at is not None and at != before and sum(work.left(at).values()) < work.total:
                kind = work.costs_like[at.stage]
                recent = self._measured.setdefault(kind, deque(maxlen=RECENT))
                recent.append(at.seconds)

    def epochs(self, subjects: Iterable[Subject]) -> int:
        """How many epochs are left for these."""
        return sum(self._left(one) for one in subjects if one in self.work)

    def left(self, subjects: Collection[Subject], workers: int) -> Span | None:
        """The time until these have ended; None while it is not known what an epoch takes.

        An epoch of a kind not met yet is taken to cost what the others do.
        """
        if not (self._stored or self._measured) and self.epochs(subjects):
            return None
        longest = Span()
        times = {one: self._time(one) for one in subjects if one in self.work}
        for subject, own in times.items():
            chain = sum((times.get(key, Span()) for key in self.work[subject].after), own)
            longest = longest.at_least(chain)
        return (sum(times.values(), Span()) * (1 / workers)).at_least(longest)

    def _left(self, subject: Subject) -> int:
        return sum(self.work[subject].left(self._at.get(subject)).values())

    def _time(self, subject: Subject) -> Span:
        beside = statistics.median(self._beside) if self._beside else 0.0
        if subject in self._since:
            beside = 0.0  # most of it comes before the first epoch
        work = self.work[subject]
        return self._training(work, work.left(self._at.get(subject))) + Span(beside, beside)

    def _training(self, work: Work, epochs: Mapping[str, int]) -> Span:
        """What so many epochs of its trainings take."""
        times = (self._pace(work.costs_like[name]) * count for name, count in epochs.items())
        return sum(times, Span())

    def _pace(self, kind: str) -> Span:
        """Of an epoch: measured here; or as stored, where like ones took as much longer here."""
        here = {one: statistics.median(recent) for one, recent in self._measured.items()}
        known = {one: Span(seconds, seconds) for one, seconds in here.items()}
        middle = {one: self._stored[one].middle for one in here if one in self._stored}
        slower = [here[one] / seconds for one, seconds in middle.items() if seconds]
        for one, span in self._stored.items():
            known.setdefault(one, span * (statistics.mean(slower) if slower else 1.0))
        if kind in known or not known:
            return known.get(kind, Span())
        return sum(known.values(), Span()) * (1 / len(known))

    def _learn_beside(self, subject: Subject, seconds: float) -> None:
        """A run has ended: what it took beside its epochs."""
        work = self.work[subject]
        known = all(kind in self._measured for kind in work.costs_like.values())
        if known and subject not in (self._first or ()):
            training = self._training(work, work.left(None))
            self._beside.append(max(0.0, seconds - training.high))
