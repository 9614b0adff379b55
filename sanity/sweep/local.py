"""Run a sweep's jobs on this machine, a few at a time, the stages that they share first."""

import contextlib
import functools
import logging
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from pathlib import Path
from typing import cast

from filelock import Timeout
from joblib.externals.loky import ProcessPoolExecutor
from joblib.externals.loky.process_executor import TerminatedWorkerError

from sanity.core import locks, sharing
from sanity.core.cores import cores
from sanity.core.errors import SweepError, reason
from sanity.core.signals import Terminated
from sanity.sweep.job import Task, of_job, of_stage, run_quietly
from sanity.sweep.plan import Job
from sanity.sweep.progress import Progress
from sanity.sweep.scheduler import Subject
from sanity.sweep.states import missing
from sanity.sweep.sweep import Sweep

log = logging.getLogger(__name__)

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
LOOK = 1.0  # seconds between two looks at how far the running jobs are
ALONE = 2  # times that a job may be killed though no other is at work
GRACE = 20  # seconds that interrupted workers have to save their checkpoints


def devices() -> list[str]:
    """This machine's GPUs, one worker each, or none."""
    import torch

    return [f"cuda:{index}" for index in range(torch.cuda.device_count())]


def run_jobs(
    sweep: Sweep, jobs: Sequence[Job], workers: int, devices: Sequence[str], progress: Progress
) -> None:
    """Run ``jobs`` by ``workers`` processes; each takes one of ``devices`` while it works.

    A job starts when the stages that it shares with others are in the store; where one fails, the
    jobs that need it are not run. What fails stands in its record and log. Where a worker is
    killed, fewer go on with what is left; a job that is killed even alone, twice, is left out.
    """
    queue, most = _Queue(sweep, jobs), workers
    slots = sweep.directory / ".slots"
    sharing.make_directory(slots)
    names = [devices[number % len(devices)] for number in range(workers)] if devices else []
    while queue.waiting:
        lost = _run(queue, workers, functools.partial(_work, slots, names), progress)
        given_up = queue.take_back(lost, alone=workers == 1)
        for subject, count in given_up.items():
            progress.advance(count, failed=count)
            what = f"job {subject}" if isinstance(subject, int) else f"stage {subject}"
            log.warning("%s was killed twice, most likely for want of memory: left out", what)
        if lost:
            workers = most if given_up else max(1, workers // 2)
            log.warning(
                "a worker was killed, most likely for want of memory: going on with %d "
                "(hydra.launcher.n_jobs)",
                workers,
            )
    progress.look([], [], workers)


def _run(
    queue: "_Queue", workers: int, work: Callable[[Task], bool], progress: Progress
) -> list[Subject]:
    """Run what is in the queue, until it is empty or a worker is killed; returns what that hit."""
    pool = _idle.pop(workers, None) or _pool(workers)
    running: dict[Future[bool], Subject] = {}
    lost: list[Subject] = []
    try:
        while (queue.waiting or running) and not lost:
            for subject in queue.ready(workers - len(running)):
                running[_submit(pool, work, queue.tasks[subject])] = subject
            progress.look(queue.waiting, running.values(), workers)
            finished, _ = wait(running, timeout=LOOK, return_when=FIRST_COMPLETED)
            broken = False
            for future in finished:
                try:
                    fine = future.result()
                    ended = queue.ended(running.pop(future), fine)
                    progress.advance(ended, failed=0 if fine else ended)
                except TerminatedWorkerError:
                    broken = True
            lost = list(running.values()) if broken else []  # the pool ends the other workers too
        if lost:
            pool.shutdown(kill_workers=True)
        else:  # for the next look of a sweep that grows: to start them takes seconds
            _idle[workers] = pool
    except BaseException:
        _stop(pool, running)
        raise
    return lost


_idle: dict[int, ProcessPoolExecutor] = {}
"""Workers that have nothing to do, by how many there are; they end with this process."""


def _pool(workers: int) -> ProcessPoolExecutor:
    """Worker processes; raises SweepError where the system has no semaphores for their queue."""
    threads = str(max(1, cores() // workers))
    try:
        return ProcessPoolExecutor(
            workers,
            env={name: os.environ.get(name, threads) for name in THREADS},
            initializer=_end_with,
            initargs=(os.getpid(),),
        )
    except OSError as error:
        raise SweepError(
            f"hydra/launcher=local: its workers share a queue in /dev/shm, and there is none to be "
            f"had ({reason(error)}): make /dev/shm writable, or leave the launcher out "
            "to run one job after another"
        ) from error


class _Queue:
    """Tasks of jobs and of the shared stages that they wait for."""

    def __init__(self, sweep: Sweep, jobs: Sequence[Job]) -> None:
        self.tasks: dict[Subject, Task] = {}
        self.waiting: dict[Subject, set[Subject]] = {}
        shared = missing(sweep, jobs)
        for key, needed in shared.items():
            self.tasks[key] = of_stage(sweep, needed)
            self.waiting[key] = {needed.after} if needed.after in shared else set()
        for job in jobs:
            self.tasks[job.number] = of_job(sweep, job)
            self.waiting[job.number] = {key for key in sweep.plan.needs(job) if key in shared}
        self._killed: Counter[Subject] = Counter()

    def ready(self, count: int) -> list[Subject]:
        """Up to ``count`` tasks that wait for nothing; stages first, since others wait for them."""
        free = [subject for subject, before in self.waiting.items() if not before][:count]
        for subject in free:
            del self.waiting[subject]
        return free

    def take_back(self, subjects: Iterable[Subject], *, alone: bool) -> dict[Subject, int]:
        """Put tasks whose workers were killed in the queue again, but for those killed twice alone.

        Returns these, each with the number of jobs that have ended by that.
        """
        given_up = {}
        for subject in subjects:
            self._killed[subject] += alone
            if self._killed[subject] < ALONE:
                self.waiting[subject] = set()
            else:
                given_up[subject] = self.ended(subject, fine=False)
        return given_up

    def ended(self, subject: Subject, fine: bool) -> int:
        """Let go on what waited for ``subject``, or drop it where a stage failed.

        Returns how many jobs have ended by that.
        """
        if not isinstance(subject, str):
            return 1
        followers = [one for one, before in self.waiting.items() if subject in before]
        dropped = 0
        for one in followers:
            if fine:
                self.waiting[one].discard(subject)
            elif self.waiting.pop(one, None):
                dropped += self.ended(one, fine=False)
        return dropped


def _end_with(parent: int) -> None:
    """In a worker: end when the sweep's own process is gone, with what is reached on the disk.

    A worker that is killed with its parent is gone as well; of one that is not, nobody would know.
    Ctrl-C reaches workers too, and is none of their business while they have no job.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(GRACE)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _submit(pool: ProcessPoolExecutor, work: Callable[[Task], bool], task: Task) -> Future[bool]:
    """The future of a task; where the pool has just broken, one that says so as the others do."""
    try:
        return cast(Future[bool], pool.submit(work, task))
    except TerminatedWorkerError as error:
        failed: Future[bool] = Future()
        failed.set_exception(error)
        return failed


def _work(slots: Path, devices: Sequence[str], task: Task) -> bool:
    """In a worker: run ``task`` on a device that no other worker of the sweep is using."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        sharing.make_directory(task.directory)
        with device(slots, devices) as chosen:
            return run_quietly(task, chosen)
    except Terminated:  # this worker alone was told to stop: its job has ended, and says so
        return False
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextlib.contextmanager
def device(slots: Path, devices: Sequence[str]) -> Iterator[str | None]:
    """One of ``devices`` that no other job of the sweep holds; it is held while in use."""
    chosen = None
    with contextlib.ExitStack() as held:
        for number, device in enumerate(devices):
            with contextlib.suppress(Timeout):
                held.enter_context(locks.lock_at(slots / f"{number}.lock").acquire(timeout=0))
                chosen = device
                break
        yield chosen


def _stop(pool: ProcessPoolExecutor, running: Collection[Future[bool]]) -> None:
    """Let workers save their checkpoints, as Ctrl-C does, then end them."""
    for process in list((getattr(pool, "_processes", None) or {}).values()):
        with contextlib.suppress(OSError):
            os.kill(process.pid, signal.SIGINT)
    wait(running, timeout=GRACE)
    pool.shutdown(wait=False, kill_workers=True)
