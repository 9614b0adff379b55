"""What is left of a sweep: from its plan at once, by what its own epochs take as it goes on."""

import itertools
import statistics
import time
from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sanity.sweep.pace import Capacity, Span, paces
from sanity.sweep.plan import Job
from sanity.sweep.scheduler import Subject
from sanity.sweep.states import Position, in_store, missing, position
from sanity.sweep.sweep import Sweep

RECENT = 50  # epochs, and runs, by which the time of the next is judged


@dataclass(frozen=True)
class Work:
    """What a job, or a shared stage by itself, still has to train, and in which directory.

    ``epochs`` are those of each of its own trainings, by the stage's name; ``after`` are the keys
    of shared stages that go before.
    """

    directory: Path
    workload: str
    epochs: Mapping[str, range]
    after: Sequence[str] = ()

    @property
    def total(self) -> int:
        return sum(map(len, self.epochs.values()))

    def done(self, at: Position | None) -> int:
        """How many of its epochs have ended when it stands there."""
        if at is None or at.stage not in self.epochs:
            return 0
        before = itertools.takewhile(lambda name: name != at.stage, self.epochs)
        epochs = self.epochs[at.stage]
        inside = min(max(at.epoch - epochs.start, 0), len(epochs))
        return sum(len(self.epochs[name]) for name in before) + inside


def outstanding(sweep: Sweep, jobs: Sequence[Job]) -> dict[Subject, Work]:
    """What is left to train for ``jobs``: shared stages by key, jobs by number."""
    plan, shared = sweep.plan, missing(sweep, jobs)
    found: dict[Subject, Work] = {}
    for key, needed in shared.items():
        stage, job = needed.stage, needed.job
        first = [needed.after] if needed.after in shared else []
        epochs = {stage.name: job.epochs_of(stage)}
        found[key] = Work(sweep.stage_directory(stage), job.workload, epochs, first)
    for job in jobs:
        own = [stage for stage in job.training if stage.key not in plan.shared]
        lacking = [stage for stage in own if not in_store(sweep.store_dir, stage)]
        epochs = {stage.name: job.epochs_of(stage) for stage in lacking}
        before = [key for key in plan.needs(job) if key in shared]
        found[job.number] = Work(sweep.directory_of(job), job.workload, epochs, before)
    return found


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
        self._paces = dict(paces)
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
            if at is not None and at != before and work.done(at):
                recent = self._measured.setdefault(work.workload, deque(maxlen=RECENT))
                recent.append(at.seconds)
                pace = statistics.median(recent)
                self._paces[work.workload] = Span(pace, pace)

    def epochs(self, subjects: Iterable[Subject]) -> int:
        """How many epochs are left for these."""
        return sum(self._left(one) for one in subjects if one in self.work)

    def left(self, subjects: Collection[Subject], workers: int) -> Span | None:
        """The time until these have ended; None while it is not known what an epoch takes.

        An epoch of a kind not met yet is taken to cost what the others do.
        """
        if not self._paces and self.epochs(subjects):
            return None
        longest = Span()
        times = {one: self._time(one) for one in subjects if one in self.work}
        for subject, own in times.items():
            chain = sum((times.get(key, Span()) for key in self.work[subject].after), own)
            longest = longest.at_least(chain)
        return (sum(times.values(), Span()) * (1 / workers)).at_least(longest)

    def _left(self, subject: Subject) -> int:
        work = self.work[subject]
        return work.total - work.done(self._at.get(subject))

    def _time(self, subject: Subject) -> Span:
        beside = statistics.median(self._beside) if self._beside else 0.0
        if subject in self._since:
            beside = 0.0  # most of it comes before the first epoch
        pace = self._pace(self.work[subject].workload)
        return pace * self._left(subject) + Span(beside, beside)

    def _pace(self, workload: str) -> Span:
        if workload in self._paces or not self._paces:
            return self._paces.get(workload, Span())
        return sum(self._paces.values(), Span()) * (1 / len(self._paces))

    def _learn_beside(self, subject: Subject, seconds: float) -> None:
        """A run has ended: what it took beside its epochs."""
        work = self.work[subject]
        known = work.workload in self._measured or not work.total
        if known and subject not in (self._first or ()):
            self._beside.append(max(0.0, seconds - self._pace(work.workload).high * work.total))
