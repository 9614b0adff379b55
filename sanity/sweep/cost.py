"""What a sweep will cost: stages to compute, epochs, and time where the store knows like ones."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sanity.core.console import duration
from sanity.stages.stage import TRAINING, StageId
from sanity.sweep.pace import ALONE, Capacity, Pace, Span, paces
from sanity.sweep.plan import Job, Plan
from sanity.sweep.states import in_store

__all__ = ["Cost", "Row", "cost_of", "duration"]


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
        source = f"{self.samples} like ones in the store"
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
    users: dict[str, tuple[StageId, Job]] = {}
    asked: dict[str, int] = {}
    for job in plan.jobs:
        for stage in job.stages:
            asked[stage.kind] = asked.get(stage.kind, 0) + 1
            users.setdefault(stage.key, (stage, job))
    missing = {key for key, (stage, _) in users.items() if not in_store(store_dir, stage)}
    rows = []
    for kind in asked:
        keys = [key for key, (stage, _) in users.items() if stage.kind == kind]
        epochs = sum(users[key][1].epochs_of(users[key][0]) for key in keys if key in missing)
        stored = sum(key not in missing for key in keys)
        trained = epochs if kind in TRAINING else 0
        rows.append(Row(kind, asked[kind], len(keys), stored, trained))
    known = paces(store_dir, capacity)
    total = _time([users[key] for key in missing], known)
    chains = [[(stage, job) for stage in job.training if stage.key in missing] for job in plan.jobs]
    longest = Span()
    for chain in chains:
        longest = longest.at_least(_time(chain, known) or Span())
    workloads = {users[key][1].workload for key in missing}
    samples = max((known[name].samples for name in workloads if name in known), default=0)
    return Cost(tuple(rows), capacity, total, longest, samples)


def _time(stages: Iterable[tuple[StageId, Job]], known: Mapping[str, Pace]) -> Span | None:
    """The time of some training, one after another; None where no like one is known."""
    total = Span()
    for stage, job in stages:
        if not stage.trains:
            continue
        if job.workload not in known:
            return None
        total += known[job.workload].seconds * job.epochs_of(stage)
    return total
