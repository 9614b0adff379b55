"""Run a sweep look by look, until its questions are decided or its limits are reached.

A look is asked for on the disk before any of it is run, by whoever holds the sweep's lock and finds
the one before complete: this command, another one of the same, or one that comes after a kill.
"""

import logging
import time
from collections.abc import Callable, Collection, Sequence

from sanity.core.console import echo
from sanity.core.errors import SanityError
from sanity.decide import table
from sanity.decide.ahead import Ahead, ahead
from sanity.report import report
from sanity.report.output import files
from sanity.report.report import Report
from sanity.sweep.plan import Job
from sanity.sweep.states import State, look
from sanity.sweep.sweep import Sweep

log = logging.getLogger(__name__)

Start = Callable[[Sweep, Sequence[Job]], Callable[[], Sequence[State] | None]]
"""Has jobs run; what it returns waits for their end, and is None's where nobody is to wait."""


def run(sweep: Sweep, start: Start) -> Sweep | None:
    """Go on until there is nothing left to ask; returns the sweep as it stands then.

    None where jobs run elsewhere and nobody waits for them.
    """
    tried: set[int] = set()
    while True:
        with sweep.locked():
            began = time.monotonic()
            sweep, step = advance(sweep.renewed(), tried)
            jobs = [one.job for one in look(sweep) if one.word != "done"]
            jobs = [job for job in jobs if job.number not in tried]
            if not jobs:
                if step is not None:
                    log.info("after %s seeds: %s", sweep.looks[-1].seeds, step.why)
                return sweep
            log.info("look at %d seeds: %d jobs", sweep.looks[-1].seeds, len(jobs))
            wait = start(sweep, jobs)
        tried |= {job.number for job in jobs}
        if wait() is None:
            return None
        with sweep.locked():
            sweep = sweep.renewed().spend(time.monotonic() - began, ended=False)


def advance(sweep: Sweep, tried: Collection[int]) -> tuple[Sweep, Ahead | None]:
    """Ask for the next look where all of the last one has ended; by who holds the sweep's lock.

    ``tried`` are jobs that are not to be run again, be they done or not. The step is None where
    jobs are left to run.
    """
    if sweep.looks:
        states = [one for one in look(sweep) if one.word != "done"]
        if any(one.word in ("running", "pending") or one.job.number not in tried for one in states):
            return sweep, None
        if not sweep.looks[-1].ended:
            sweep = sweep.spend(0.0, ended=True)
    found = report.make([sweep.directory]) if sweep.looks else None
    step = ahead(sweep, found)
    if found is not None:
        _tell(sweep, found, step)
    return (sweep.ask(step.seeds, step.jobs) if step.jobs else sweep), step


def _tell(sweep: Sweep, found: Report, step: Ahead) -> None:
    """Show how the questions stand after a look; the page is the same until the next one."""
    if step.jobs:  # at the end all of the report is shown
        echo(table.render(sweep, found))
    try:
        files.write(found, sweep.directory, goes_on=bool(step.jobs))
    except SanityError as error:  # which must not end the sweep
        log.warning("%s", error)
