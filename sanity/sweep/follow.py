"""Follow a submitted sweep until its jobs have ended, submitting the rest as there is room."""

import logging
import time
from collections.abc import Mapping, Sequence

from sanity.errors import SweepError
from sanity.sweep import cluster
from sanity.sweep.book import Book
from sanity.sweep.cluster import Ticket
from sanity.sweep.plan import Job
from sanity.sweep.progress import Progress
from sanity.sweep.states import State, Watch, count
from sanity.sweep.submit import Submitter
from sanity.sweep.throttle import rebalance

log = logging.getLogger(__name__)

PATIENCE = 600.0  # seconds for which SLURM may be out of reach
SETTLE = 10.0  # seconds that a shared file system may take to show an ended job's record


def active_ids(book: Book, queue: Mapping[str, Ticket]) -> dict[int | str, str]:
    """The submissions of a sweep that have not ended, by job number or stage key."""
    submitted = book.latest().items()
    return {key: one for key, one in submitted if one in queue and queue[one].active}


def start(submitter: Submitter, jobs: Sequence[Job]) -> list[Job]:
    """Submit what is neither queued nor running; returns what the cluster has no room for."""
    queue = cluster.queue()
    active = active_ids(submitter.book, queue)
    _drop_held(active, queue)
    fresh = [job for job in jobs if job.number not in active]
    return submitter.submit(fresh, active, cluster.room(submitter.limits, queue)) if fresh else []


def wait(submitter: Submitter, waiting: list[Job], progress: Progress) -> list[State]:
    """Wait until every job has ended; returns how they stand.

    ``waiting`` are jobs that the cluster had no room for: they are submitted as it has. The
    cluster is asked every few seconds, less often the more there is to ask about.
    """
    book, watch = submitter.book, Watch(submitter.book)
    stages = -1
    while True:
        queue = _patient_queue()
        progress.show(count(watch.look(queue)))
        active = active_ids(book, queue)
        if not active and not waiting:
            return settled(book)
        if waiting:
            waiting = _submit_more(
                submitter, waiting, active, cluster.room(submitter.limits, queue)
            )
        before, stages = stages, sum(isinstance(key, str) for key in active)
        if submitter.width is not None and stages != before:
            rebalance(book.latest(), queue, submitter.width)
        time.sleep(min(15.0, 1.0 + len(book.plan.jobs) / 500))


def _submit_more(
    submitter: Submitter, waiting: list[Job], active: Mapping[int | str, str], room: int
) -> list[Job]:
    """Submit of ``waiting`` what there is room for, unless another parent is doing so."""
    if room == 0:
        return waiting
    with submitter.book.locked():
        latest = submitter.book.latest()
        waiting = [job for job in waiting if job.number not in latest]
        return submitter.submit(waiting, active, room) if waiting else []


def say_goodbye(book: Book, waiting: int) -> None:
    """What to do with a sweep that nobody waits for."""
    if waiting:
        log.info("%d jobs exceed what the cluster accepts; the same command submits them", waiting)
    log.info("submitted; python -m sanity.sweep status %s", book.directory)


def settled(book: Book) -> list[State]:
    """How the jobs stand, once a shared file system shows what ended jobs have written."""
    deadline = time.monotonic() + SETTLE
    while True:
        states = look(book)
        late = [state for state in states if state.why == "ended without a record"]
        if not late or time.monotonic() > deadline:
            return states
        time.sleep(1.0)


def look(book: Book) -> list[State]:
    """How the jobs of a sweep stand, now; SLURM is asked only where jobs were submitted."""
    submitted = [one.id for one in book.submitted()]
    if not submitted:
        return Watch(book).look({})
    try:
        queue = cluster.queue()
    except SweepError as error:
        log.warning("%s", error)
        return Watch(book).look(None)
    return Watch(book).look(queue, cluster.ended(one for one in submitted if one not in queue))


def _drop_held(active: dict[int | str, str], queue: Mapping[str, Ticket]) -> None:
    """Cancel what a parent left held when it died in mid-submission, to submit it anew."""
    held = {key: one for key, one in active.items() if queue[one].reason == "JobHeldUser"}
    cluster.cancel(sorted(held.values()))
    for key in held:
        del active[key]


def _patient_queue() -> dict[str, Ticket]:
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
