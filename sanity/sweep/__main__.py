"""Look after sweeps from another terminal, or after their parent has died.

python -m sanity.sweep list                 the sweeps that used this store
python -m sanity.sweep status [SWEEP]       how its jobs stand, and why
python -m sanity.sweep collect [SWEEP]      the report of what is done so far
python -m sanity.sweep cancel [SWEEP]       end its jobs on the cluster

SWEEP is a sweep's directory; without it, the latest sweep is meant.
"""

if __name__ == "__main__":  # before all that takes time: Ctrl-C ends it in one line from here on
    from sanity.core import shutdown

    shutdown.begin("sanity.sweep")

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from sanity.cli.commands import answer, complain, parser, store_dir
from sanity.core.console import echo
from sanity.core.errors import SweepError, reason
from sanity.sweep import scheduler, show
from sanity.sweep import sweep as sweeps
from sanity.sweep.states import State, Watch, count, look
from sanity.sweep.sweep import Sweep
from sanity.sweep.under_way import shared, told

PROGRAM = "sanity.sweep"
SHOWN = 40  # jobs that are listed without --all


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line asks for; returns the exit code."""
    options = _parser().parse_args(arguments)
    return answer(PROGRAM, lambda: int(options.command(options)))


def status(options: argparse.Namespace) -> int:
    """Show how the jobs stand; the exit code is 0 where all are done or under way."""
    sweep = _sweep(options)
    if sweep.grows and sweep.submitted():
        sweep = _next_look(sweep)
    poll = scheduler.of(sweep).poll()
    states = told(sweep, Watch(sweep).look(poll))
    if options.json:
        print(json.dumps([_to_json(state) for state in states], indent=2))
    else:
        echo(
            show.heading(sweep), show.counts(states), *show.shared(sweep.plan, *shared(sweep, poll))
        )
        echo(show.standing(states, None if options.all else SHOWN))
        if sweep.looks:
            from sanity.decide.table import Live

            echo(Live(sweep)())
    return 1 if count(states)["failed"] else 0


def _next_look(sweep: Sweep) -> Sweep:
    """The sweep, once its next look is submitted if the one before is complete."""
    from sanity.decide.run import go_on

    try:
        return go_on(sweep)
    except SweepError as error:  # how it stands is to be told all the same
        complain(PROGRAM, error)
    except OSError as error:  # of a sweep that is another's
        complain(PROGRAM, f"{sweep.directory}: cannot be gone on with ({reason(error)})")
    return sweep


def collect(options: argparse.Namespace) -> int:
    """Report on the jobs that are done; the same as ``python -m sanity.report SWEEP``."""
    from sanity.report.end_of_sweep import report_on

    sweep = _sweep(options)
    states = look(sweep)
    echo(show.heading(sweep))
    report_on(sweep)
    echo(show.counts(states))
    return 0


def cancel(options: argparse.Namespace) -> int:
    """End a sweep's jobs on the cluster; what they have reached stays in the store."""
    sweep = _sweep(options)
    number = scheduler.of(sweep).cancel()
    echo(f"cancelled {number} jobs; the same command as before goes on with them")
    return 0


def listing(options: argparse.Namespace) -> int:
    """One line a sweep: when, how many jobs it has, what it asks, where it lies."""
    found = sweeps.known(store_dir(options.store_dir))
    if not found:
        echo(f"no sweep used {store_dir(options.store_dir)}")
    damaged = 0
    for directory in found:
        try:
            echo(show.line(sweeps.read(directory)))
        except SweepError as error:  # of one sweep, which says nothing of the others
            damaged += 1
            complain(PROGRAM, error)
    return 1 if damaged else 0


def _sweep(options: argparse.Namespace) -> Sweep:
    if options.sweep is not None:
        return sweeps.read(options.sweep)
    found = sweeps.known(store_dir(options.store_dir))
    if not found:
        raise SweepError(f"no sweep used {store_dir(options.store_dir)}; name a sweep's directory")
    return sweeps.read(found[-1])


def _to_json(state: State) -> dict[str, object]:
    return {
        "job": state.job.number,
        "state": state.word,
        "why": state.why,
        "log": None if state.log is None else str(state.log),
        "overrides": list(state.job.overrides),
        "directory": state.job.directory,
        "metrics": dict(state.metrics),
        "position": None if state.position is None else asdict(state.position),
    }


def _parser() -> argparse.ArgumentParser:
    found = parser(PROGRAM, __doc__)
    commands = found.add_subparsers(required=True, metavar="COMMAND")
    known: dict[str, Callable[[argparse.Namespace], int]] = {
        "status": status,
        "collect": collect,
        "cancel": cancel,
        "list": listing,
    }
    for name, function in known.items():
        summary = (function.__doc__ or "").split(";")[0].split("\n")[0]
        command = commands.add_parser(name, help=summary, description=summary)
        command.set_defaults(command=function)
        command.add_argument("--store-dir", help="the store, where it is not the default one")
        if name != "list":
            command.add_argument("sweep", nargs="?", type=Path, metavar="SWEEP")
        if name == "status":
            command.add_argument("--all", action="store_true", help="list all jobs not done")
            command.add_argument("--json", action="store_true", help="every job, for programs")
    return found


if __name__ == "__main__":
    sys.exit(main())
