"""What a sweep will cost: stages to compute, epochs, and time where the store knows like ones."""

import functools
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sanity.stages.stage import TRAINING, StageId
from sanity.sweep.pace import ALONE, Capacity, Pace, Span, paces
from sanity.sweep.plan import Job, Plan
from sanity.sweep.states import in_store


@dataclass(frozen=True)
class Row:
    """The stages of one kind: asked for by jobs, distinct, stored, and still to be computed."""

    stage: str
    asked: int
    distinct: int
    stored: int
    epochs: int

    @property
    def missing(self) -> int:
        return self.distinct - self.stored

    @property
    def trains(self) -> bool:
        return self.stage in TRAINING


@dataclass(frozen=True)
class Cost:
    """``total`` is the time of all missing training one after another, None if unknown.

    ``longest`` is that of the job with most of it, which no number of workers makes shorter.
    """

    rows: tuple[Row, ...]
    capacity: Capacity
    total: Span | None
    longest: Span
    samples: int

    def estimate(self) -> str:
        """The cost in a sentence."""
        epochs = sum(row.epochs for row in self.rows)
        if not epochs:
            return "Nothing is left to train."
        text = f"To train: {epochs:,} epochs"
        if self.total is None:
            return (
                f"{text}. No such training is in the store yet, so its time is not known before "
                "its first epochs are done."
            )
        source = f"{self.samples} like {'one' if self.samples == 1 else 'ones'} in the store"
        if self.total.is_wide:
            source += ": their CPU time, and the clock"  # of a machine that was busy
        return f"{text}, {self._time(self.total)} (by {source})."

    def _time(self, total: Span) -> str:
        workers = self.capacity.workers
        if workers is None:
            return f"{total} one after another, {self.longest} if all jobs run at once"
        if workers == 1:
            return f"{total} one after another"
        return f"{(total * (1 / workers)).at_least(self.longest)} with {workers} at a time"


def cost_of(plan: Plan, store_dir: Path, capacity: Capacity = ALONE) -> Cost:
    """Count what the plan's jobs share and lack, and look in the store how long like ones took."""
    asked = [(stage, job) for job in plan.jobs for stage in job.stages]
    users = {stage.key: (stage, job) for stage, job in reversed(asked)}  # the first of each
    missing = {key: one for key, one in users.items() if not in_store(store_dir, one[0])}
    rows = []
    for kind, count in Counter(stage.kind for stage, _ in asked).items():
        distinct = sum(stage.kind == kind for stage, _ in users.values())
        lacking = [(stage, job) for stage, job in missing.values() if stage.kind == kind]
        epochs = sum(len(job.epochs_of(stage)) for stage, job in lacking if stage.trains)
        rows.append(Row(kind, count, distinct, distinct - len(lacking), epochs))
    known = paces(store_dir, capacity)
    total = _time(missing.values(), known)
    chains = [[(stage, job) for stage in job.training if stage.key in missing] for job in plan.jobs]
    times = (_time(chain, known) or Span() for chain in chains)
    longest = functools.reduce(Span.at_least, times, Span())
    kinds = {job.costs_like(stage) for stage, job in missing.values() if stage.trains}
    paced = {id(known[kind]): known[kind] for kind in kinds if kind in known}
    samples = sum(pace.samples for pace in paced.values())
    return Cost(tuple(rows), capacity, total, longest, samples)


def _time(stages: Iterable[tuple[StageId, Job]], known: Mapping[str, Pace]) -> Span | None:
    """The time of some training, one after another; None where no like one is known."""
    trained = [(stage, job) for stage, job in stages if stage.trains]
    if any(job.costs_like(stage) not in known for stage, job in trained):
        return None
    times = (
        known[job.costs_like(stage)].seconds * len(job.epochs_of(stage)) for stage, job in trained
    )
    return sum(times, Span())
