"""Run a sweep's jobs on this machine, a few at a time, the stages that they share first."""

import contextlib
import itertools
import logging
import os
import signal
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from pathlib import Path

from filelock import FileLock, Timeout
from joblib.externals.loky import ProcessPoolExecutor
from joblib.externals.loky.process_executor import TerminatedWorkerError

from sanity.errors import SweepError
from sanity.sweep.book import Book
from sanity.sweep.job import Task, of_job, of_stage, run_quietly
from sanity.sweep.plan import Job
from sanity.sweep.progress import Progress
from sanity.sweep.states import in_store

log = logging.getLogger(__name__)

GRACE = 20  # seconds that interrupted workers have to save their checkpoints


def devices() -> list[str]:
    """This machine's GPUs, one worker each, or none."""
    import torch

    return [f"cuda:{index}" for index in range(torch.cuda.device_count())]


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_jobs(
    book: Book, jobs: Sequence[Job], workers: int, devices: Sequence[str], progress: Progress
) -> None:
    """Run ``jobs`` by ``workers`` processes; each takes one of ``devices`` while it works.

    A job starts when the stages that it shares with others are in the store; where one fails, the
    jobs that need it are not run. What fails stands in its record and log.
    Raises SweepError where a worker is killed.
    """
    queue = _Queue(book, jobs)
    threads = max(1, cores() // workers)
    slots = book.directory / ".slots"
    slots.mkdir(exist_ok=True)
    names = [devices[number % len(devices)] for number in range(workers)] if devices else []
    pool = ProcessPoolExecutor(workers, env=_thread_limits(threads))
    running: dict[Future[bool], int | str] = {}
    try:
        while queue.waiting or running:
            for subject, task in queue.ready(workers - len(running)):
                running[pool.submit(_work, task, slots, names)] = subject
            finished, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                progress.advance(queue.ended(running.pop(future), future.result()))
        pool.shutdown()
    except TerminatedWorkerError:
        raise SweepError(
            "a worker was killed, most likely for want of memory: choose fewer with "
            "hydra.launcher.n_jobs, and start the sweep again, which goes on from what is done"
        ) from None
    except BaseException:
        _stop(pool, running)
        raise


class _Queue:
    """Tasks and the shared stages that they wait for."""

    def __init__(self, book: Book, jobs: Sequence[Job]) -> None:
        plan = book.plan
        wanted = dict.fromkeys(key for job in jobs for key in plan.needs(job))
        missing = {key for key in wanted if not in_store(book.store_dir, plan.shared[key].stage)}
        self.waiting: dict[int | str, tuple[set[str], Task]] = {}
        for key in wanted:
            needed = plan.shared[key]
            if key in missing:
                before = {needed.after} & missing if needed.after else set()
                self.waiting[key] = (before, of_stage(book, needed))
        for job in jobs:
            self.waiting[job.number] = (set(plan.needs(job)) & missing, of_job(book, job))

    def ready(self, count: int) -> list[tuple[int | str, Task]]:
        """Up to ``count`` tasks that wait for nothing; stages first, since others wait for them."""
        free = [(subject, task) for subject, (before, task) in self.waiting.items() if not before]
        chosen = list(itertools.islice(free, count))
        for subject, _ in chosen:
            del self.waiting[subject]
        return chosen

    def ended(self, subject: int | str, fine: bool) -> int:
        """Let go on what waited for ``subject``, or drop it where a stage failed.

        Returns how many jobs have ended by that.
        """
        if not isinstance(subject, str):
            return 1
        followers = [one for one, (before, _) in self.waiting.items() if subject in before]
        dropped = 0
        for one in followers:
            if fine:
                self.waiting[one][0].discard(subject)
            elif self.waiting.pop(one, None):
                dropped += self.ended(one, fine=False)
        return dropped


def _work(task: Task, slots: Path, devices: Sequence[str]) -> bool:
    """In a worker: run ``task`` on a device that no other worker of the sweep is using."""
    with device(slots, devices) as chosen:
        return run_quietly(task, chosen)


@contextlib.contextmanager
def device(slots: Path, devices: Sequence[str]) -> Iterator[str | None]:
    """One of ``devices`` that no other job of the sweep holds; it is held while in use."""
    for number, device in enumerate(devices):
        lock = FileLock(slots / f"{number}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            continue
        try:
            yield device
        finally:
            lock.release()
        return
    yield None


def _thread_limits(threads: int) -> dict[str, str]:
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
    return {name: os.environ.get(name, str(threads)) for name in names}


def _stop(pool: ProcessPoolExecutor, running: Collection[Future[bool]]) -> None:
    """Let workers save their checkpoints, as Ctrl-C does, then end them."""
    for process in list((getattr(pool, "_processes", None) or {}).values()):
        with contextlib.suppress(OSError):
            os.kill(process.pid, signal.SIGINT)
    wait(running, timeout=GRACE)
    pool.shutdown(wait=False, kill_workers=True)
