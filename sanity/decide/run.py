"""Run a sweep look by look, until its questions are decided or its limits are reached.

A look is asked for on the disk before any of it is run, by whoever holds the sweep's lock and finds
the one before complete: this command, another one of the same, or one that comes after a kill.
"""

import contextlib
import dataclasses
import logging
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from sanity.core.console import echo
from sanity.core.errors import SanityError
from sanity.decide import table
from sanity.decide.ahead import Ahead, ahead
from sanity.report import report
from sanity.report.output import files
from sanity.report.report import Report
from sanity.sweep.plan import Job
from sanity.sweep.states import State, is_running, look
from sanity.sweep.sweep import Sweep

log = logging.getLogger(__name__)

Start = Callable[[Sweep, Sequence[Job]], Callable[[], Sequence[State] | None]]
"""Has jobs run; what it returns waits for their end, and is None's where nobody is to wait."""


@dataclass(frozen=True)
class Step:
    """Where a sweep stands: ``ahead`` is what comes next, None while jobs are left to run.

    ``found`` is the report of the looks that have ended, where one has.
    """

    sweep: Sweep
    ahead: Ahead | None = None
    found: Report | None = None


def run(sweep: Sweep, start: Start) -> Sweep | None:
    """Go on until there is nothing left to ask; returns the sweep as it stands then.

    None where jobs run elsewhere and nobody waits for them.
    """
    tried: set[int] = set()
    while True:
        with sweep.locked():
            began = time.monotonic()
            step = advance(sweep.renewed(), tried)
            _tell(step)
            sweep = step.sweep
            jobs = [one.job for one in look(sweep) if one.word != "done"]
            jobs = [job for job in jobs if job.number not in tried]
            if not jobs:
                return sweep
            seeds = sweep.looks[-1].seeds
            log.info("look at %d seeds: %d jobs", seeds, len(jobs))
            try:
                wait = start(sweep, jobs)
            except BaseException:
                sweep.renewed().spend(time.monotonic() - began, seeds)
                raise
        tried |= {job.number for job in jobs}
        try:
            goes_on = wait() is not None
        finally:
            took = time.monotonic() - began
            with sweep.locked():  # another command may be at the next look by now
                sweep = sweep.renewed().spend(took, seeds)
        if not goes_on:
            return None


def advance(sweep: Sweep, tried: Collection[int]) -> Step:
    """Ask for the next look where all of the last one has ended; by who holds the sweep's lock.

    ``tried`` are jobs that are not to be run again, be they done or not.
    """
    if not sweep.looks:
        return _asked(sweep, ahead(sweep, None))
    rest = [one for one in look(sweep) if one.word != "done"]
    if any(one.word in ("running", "pending") or one.job.number not in tried for one in rest):
        return Step(sweep)
    last = sweep.looks[-1]
    if not last.ended:
        sweep = sweep.spend(0.0 if last.seconds else _unwatched(sweep), last.seeds)
        sweep = sweep.end([one.job for one in rest])
    found = report.make([sweep.directory])
    return _asked(sweep, ahead(sweep, found), found)


def go_on(sweep: Sweep) -> Sweep:
    """Submit the next look of a sweep whose jobs run on a cluster, if it is time for it.

    By whoever finds the one before complete, with the settings of the command that began; not where
    jobs were cancelled or run elsewhere since, nor while another process is at it. Raises
    SweepError where the settings cannot be told.
    """
    from sanity.sweep.slurm import again
    from sanity.sweep.slurm.scheduler import Slurm

    if not again.is_known(sweep) or is_running(sweep.directory):
        return sweep
    with sweep.locked():
        sweep = sweep.renewed()
        ready, request = again.read(sweep)
        ended = {one.job.number for one in look(sweep) if one.word in ("done", "failed")}
        step = advance(sweep, ended)
        if step.ahead is not None and step.ahead.jobs:
            log.info("look at %d seeds: %d jobs", step.ahead.seeds, len(step.ahead.jobs))
            start = dataclasses.replace(step.sweep, code=ready.code)
            Slurm(start).start(step.ahead.jobs, request)
        return step.sweep


def _asked(sweep: Sweep, step: Ahead, found: Report | None = None) -> Step:
    sweep = sweep.ask(step.seeds, step.jobs) if step.jobs else sweep.stop(step.why)
    return Step(sweep, step, found)


def _unwatched(sweep: Sweep) -> float:
    """The seconds from the request of the latest look to its last record: nobody waited for it."""
    last, written = sweep.looks[-1], [0.0]
    for job in sweep.plan.jobs:
        if job.number in last.jobs:
            with contextlib.suppress(OSError):
                written.append((sweep.directory_of(job) / "record.json").stat().st_mtime)
    return max(0.0, max(written) - last.asked)


def _tell(step: Step) -> None:
    """Show how the questions stand after a look; the page is the same until the next one."""
    if step.found is None or step.ahead is None:
        return
    if not step.ahead.jobs:  # at the end all of the report is shown
        log.info("after %d seeds: %s", step.sweep.looks[-1].seeds, step.ahead.why)
        return
    echo(table.render(step.sweep, step.found))
    try:
        files.write(step.found, step.sweep.directory, goes_on=True)
    except SanityError as error:  # which must not end the sweep
        log.warning("%s", error)
