"""Follow a submitted sweep until its jobs have ended, submitting the rest as there is room."""

import logging
import shlex
import time
from collections.abc import Collection, Mapping, Sequence

from sanity.core.errors import SweepError
from sanity.sweep.plan import Job
from sanity.sweep.progress import Progress
from sanity.sweep.scheduler import NO_RECORD, Poll, Subject
from sanity.sweep.slurm import cluster, waits
from sanity.sweep.slurm.cluster import QueuedJob
from sanity.sweep.slurm.poll import active_ids, seen
from sanity.sweep.slurm.submit import Submitter
from sanity.sweep.slurm.throttle import rebalance
from sanity.sweep.states import State, Watch, count, look
from sanity.sweep.sweep import Sweep

log = logging.getLogger(__name__)

PATIENCE = 600.0  # seconds for which SLURM may be out of reach
SETTLE = 10.0  # seconds that a shared file system may take to show an ended job's record


def start(submitter: Submitter, jobs: Sequence[Job]) -> list[Job]:
    """Submit what is neither queued nor running; returns what the cluster has no room for."""
    queue = cluster.queue()
    active = active_ids(submitter.sweep, queue)
    _drop_held(submitter.array_name, active)
    fresh = [job for job in jobs if job.number not in active]
    submitter.sweep.withdraw(fresh, active)
    return submitter.submit(fresh, active, cluster.room(submitter.limits, queue)) if fresh else []


def wait(submitter: Submitter, waiting: list[Job], progress: Progress) -> list[State]:
    """Wait until every job has ended; returns how they stand.

    ``waiting`` are jobs that the cluster had no room for: they are submitted as it has. The
    cluster is asked every few seconds, less often the more there is to ask about.
    """
    sweep, watch = submitter.sweep, Watch(submitter.sweep)
    stages, told = -1, set[str]()
    log.info("submitted; logs are in %s", shlex.quote(str(sweep.cluster_directory)))
    while True:
        queue = _patient_queue()
        poll = seen(sweep, queue)
        states = watch.look(poll)
        active = active_ids(sweep, queue)
        told |= _tell_waits(active, queue, told)
        _show(progress, states, poll)
        waiting = _without_failed(waiting, states)
        if not active and not waiting:
            return settled(sweep)
        if waiting:
            waiting = _submit_more(submitter, waiting, queue)
        before, stages = stages, sum(isinstance(key, str) for key in active)
        if submitter.width is not None and stages != before:
            rebalance(sweep, queue, submitter.width)
        time.sleep(min(15.0, 1.0 + len(sweep.plan.jobs) / 500))


def _tell_waits(
    active: Mapping[int | str, str], queue: Mapping[str, QueuedJob], told: Collection[str]
) -> set[str]:
    """Say for what jobs wait that may never come; once for each of SLURM's words, given back."""
    fresh: dict[str, list[Subject]] = {}
    for key, one in active.items():
        job, word = queue[one], waits.word(queue[one].reason)
        if job.state == "PENDING" and not waits.is_ordinary(job.reason) and word not in told:
            fresh.setdefault(word, []).append(key)
    for keys in fresh.values():
        stages = sum(isinstance(key, str) for key in keys)
        counts = ((len(keys) - stages, "jobs"), (stages, "shared stages"))
        who = " and ".join(f"{number} {what}" for number, what in counts if number)
        log.warning("on SLURM %s wait: %s", who, waits.explain(queue[active[keys[0]]].reason))
    return {*fresh}


def _show(progress: Progress, states: Sequence[State], poll: Poll) -> None:
    """Show how the sweep stands; as many go on at a time as run now."""
    counts = count(states)
    progress.count(counts["done"] + counts["failed"], counts["failed"])
    running: list[Subject] = [state.job.number for state in states if state.word == "running"]
    words = ("pending", "missing")
    waiting: list[Subject] = [state.job.number for state in states if state.word in words]
    for key in progress.forecast.shared:
        active = poll.active.get(key)
        if key not in poll.submitted or (active and not active.runs):
            waiting.append(key)
        elif active:
            running.append(key)
    progress.look(waiting, running, len(running) or None)


def _without_failed(waiting: Sequence[Job], states: Sequence[State]) -> list[Job]:
    """A stage that failed would do so again, for every job that still waits for room."""
    failed = {
        state.job.number
        for state in states
        # A shared file system may be late to show what a stage has left.
        if state.word == "failed" and not state.why.endswith(NO_RECORD)
    }
    return [job for job in waiting if job.number not in failed]


def _submit_more(
    submitter: Submitter, waiting: list[Job], queue: Mapping[str, QueuedJob]
) -> list[Job]:
    """Submit of ``waiting`` what there is room for, unless another parent is doing so.

    Raises SweepError where the cluster will not accept even one job, and nothing is to end first.
    """
    if cluster.room(submitter.limits, queue) == 0:
        return waiting
    with submitter.sweep.locked():
        queue = _patient_queue()  # another parent may have submitted meanwhile
        latest = submitter.sweep.latest()
        waiting = [job for job in waiting if job.number not in latest]
        if not waiting:
            return []
        room, active = cluster.room(submitter.limits, queue), active_ids(submitter.sweep, queue)
        left = submitter.submit(waiting, active, room)
    if submitter.refused and not any(ticket.active for ticket in queue.values()):
        raise SweepError(f"hydra/launcher=slurm: {submitter.refused}")
    return left


def say_goodbye(sweep: Sweep, waiting: int) -> None:
    """What to do with a sweep that nobody waits for."""
    if waiting:
        log.info("%d jobs exceed what the cluster accepts; the same command submits them", waiting)
    log.info(
        "submitted; python -m sanity.sweep status %s shows how it stands, python -m sanity.report "
        "%s what came out; logs are in %s",
        *(shlex.quote(str(path)) for path in (*[sweep.directory] * 2, sweep.cluster_directory)),
    )


def settled(sweep: Sweep) -> list[State]:
    """How the jobs stand, once a shared file system shows what ended jobs have written."""
    deadline = time.monotonic() + SETTLE
    while True:
        states = look(sweep)
        late = [state for state in states if state.why == NO_RECORD]
        if not late or time.monotonic() > deadline:
            return states
        time.sleep(1.0)


def _drop_held(array_name: str, active: dict[int | str, str]) -> None:
    """Cancel what a parent left held when it died in mid-submission, to submit it anew.

    By its name: the parent may have died before it could note the ids.
    """
    queue = cluster.queue(f"--name={array_name}")
    held = {one for one, job in queue.items() if job.active and job.reason == "JobHeldUser"}
    cluster.cancel(sorted(held))
    for key in [key for key, one in active.items() if one in held]:
        del active[key]


def _patient_queue() -> dict[str, QueuedJob]:
    """The queue; a controller that does not answer is asked again for a while."""
    deadline, said = time.monotonic() + PATIENCE, False
    while True:
        try:
            return cluster.queue()
        except SweepError as error:
            if time.monotonic() > deadline:
                raise
            if not said:
                log.warning("SLURM does not answer (%s); asking again", error)
            said = True
            time.sleep(10.0)
