"""What the jobs and shared stages of a sweep that run now are at, as far as their files tell."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sanity.core import locks
from sanity.record.record import LOCK
from sanity.store import Store
from sanity.sweep.plan import Job
from sanity.sweep.scheduler import Poll
from sanity.sweep.states import Position, State, in_store, is_running, log_in, position
from sanity.sweep.sweep import Sweep


@dataclass(frozen=True)
class Shared:
    """A shared stage that is being computed by itself; ``why`` says how far it is."""

    name: str
    key: str
    why: str
    log: Path | None


def told(sweep: Sweep, states: Sequence[State]) -> list[State]:
    """The same states; running jobs tell their stage and epoch, or whom they wait for."""
    return [_told(sweep, state) if state.word == "running" else state for state in states]


def shared(sweep: Sweep, poll: Poll) -> tuple[int, list[Shared]]:
    """How many of a sweep's shared stages are done, and which are being computed now."""
    found, done = [], 0
    for key, needed in sweep.plan.shared.items():
        directory = sweep.stage_directory(needed.stage)
        if in_store(sweep.store_dir, needed.stage):
            done += 1
        elif is_running(directory):
            why = _doing(sweep, needed.job, directory, position(directory))
            log = poll.log(key) or log_in(directory)
            found.append(Shared(needed.stage.name, key, why, log))
    return done, found


def _told(sweep: Sweep, state: State) -> State:
    directory = sweep.directory_of(state.job)
    at = position(directory)
    return replace(state, why=_doing(sweep, state.job, directory, at), position=at)


def _doing(sweep: Sweep, job: Job, directory: Path, at: Position | None) -> str:
    """``train_ticket: epoch 3/15``, ``prune``, or that another run has the stage in hand."""
    ahead = [stage for stage in job.stages if not in_store(sweep.store_dir, stage)]
    if not ahead:
        return ""
    stage, behind = ahead[0], {stage.name for stage in job.stages} - {one.name for one in ahead}
    if at is not None and at.stage == stage.name:
        return f"{stage.name}: epoch {at.epoch}/{job.epochs}"
    if at is not None and at.stage not in behind:  # no stage of the plan's, such as a snapshot
        return f"{at.stage}: epoch {at.epoch}"
    lock = Store(sweep.store_dir).lock_of(stage.kind, stage.key)
    other, itself = locks.holder(lock), locks.holder(directory / LOCK)
    if other and itself and other != itself and locks.is_held(lock):
        return f"waits for {stage.name}, which {other} computes"
    return f"{stage.name}: epoch 0/{job.epochs}" if stage.trains else stage.name
