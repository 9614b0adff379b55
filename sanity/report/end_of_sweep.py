"""The end of a sweep: its report, what failed, and where to look."""

import logging
from collections.abc import Sequence

from sanity.core.console import echo
from sanity.core.errors import SanityError, SweepError
from sanity.report import report
from sanity.report.output import files, terminal
from sanity.sweep import show
from sanity.sweep.states import State, count
from sanity.sweep.sweep import Sweep

FAILED_SHOWN = 20

log = logging.getLogger(__name__)


def finish(sweep: Sweep, states: Sequence[State]) -> None:
    """Report on a sweep that has ended; raises SweepError if anything of it is missing."""
    problem: SanityError | None = None
    try:
        report_on(sweep)
    except SanityError as error:  # what failed before it is still to be told
        problem = error
    except Exception:
        log.exception("the report could not be made")
        problem = SweepError(f"{sweep.directory}: is complete but for its report")
    counts = count(states)
    echo(show.counts(states))
    if counts["failed"]:
        echo(show.failures(states, FAILED_SHOWN))
    echo(f"sweep: {sweep.directory}")
    missing = len(states) - counts["done"]
    if missing:
        raise SweepError(
            f"{missing:,} of {len(states):,} jobs are not done; the same command goes on with them"
        )
    if problem is not None:
        raise problem


def report_on(sweep: Sweep) -> None:
    """Show a sweep's report and write its files into the sweep's directory."""
    found = report.make([sweep.directory])
    echo(terminal.render(found, absent=False))
    echo(terminal.link(files.write(found, sweep.directory)))
    if found.unreadable:
        raise SanityError("; ".join(found.unreadable))
