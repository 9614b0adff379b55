"""What finished runs say: verdicts, tables and pictures.

python -m sanity.report DIR...                 runs and sweeps, finished or not, in any mix
python -m sanity.report DIR... --best          the best epoch's accuracy beside the last one's
python -m sanity.report DIR... --pdf           the figures as PDF too, for a paper
python -m sanity.report DIR... --format latex  its tables on stdout; markdown: the same in Markdown
python -m sanity.report DIR... --format json   everything as JSON on stdout, for scripts

Of one DIR, report.html, report.md, results.csv, references.bib and figures/ are written into it; of
several, into report/ here. What goes to stdout writes no files without --output or --pdf.
"""

if __name__ == "__main__":  # before all that takes time: Ctrl-C ends it in one line from here on
    from sanity.core import shutdown

    shutdown.begin("sanity.report")

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sanity.cli.commands import answer, complain, parser

if TYPE_CHECKING:
    from sanity.report.report import Report

PROGRAM = "sanity.report"
OUTPUT = "report"  # the directory of a report on several


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line asks for; returns the exit code.

    0 whatever the verdicts; 1 where a record cannot be read, 2 for a wrong setting.
    """
    options = _parser().parse_args(arguments)
    return answer(PROGRAM, lambda: _report(options))


def _report(options: argparse.Namespace) -> int:
    from sanity.core.console import echo
    from sanity.report.output import files, terminal
    from sanity.report.report import make

    report = make(options.places, options.margin)
    if options.format != "text":
        print(_printed(report, options))
    if options.format == "text" or options.output is not None or options.pdf:
        page = files.write(report, _output(options), best=options.best, pdf=options.pdf)
        if options.format == "text":
            echo(terminal.render(report, best=options.best), terminal.link(page))
    for line in report.unreadable:
        complain(PROGRAM, line)
    return 1 if report.unreadable else 0


def _printed(report: "Report", options: argparse.Namespace) -> str:
    """What a format other than text writes on stdout."""
    from sanity.report.output import as_json, as_latex, pages

    if options.format == "json":
        return json.dumps(as_json.content(report), indent=2, allow_nan=False)
    best = " --best" if options.best else ""
    command = f"{report.commands[-1]}{best} --format {options.format}"
    if options.format == "latex":
        return as_latex.render(report, command, best=options.best).removesuffix("\n")
    return pages.tables_alone(report, command, best=options.best).strip("\n")


def _output(options: argparse.Namespace) -> Path:
    if options.output is not None:
        return Path(options.output)
    if len(options.places) > 1:
        return Path(OUTPUT)
    (place,) = options.places
    return Path(place).parent if place.is_file() else Path(place)


def _parser() -> argparse.ArgumentParser:
    program = parser(PROGRAM, __doc__)
    program.add_argument("places", nargs="+", type=Path, metavar="DIR")
    program.add_argument("--output", type=Path, metavar="DIR", help="where to write the files")
    program.add_argument("--best", action="store_true", help="also the best epoch's accuracy")
    program.add_argument("--pdf", action="store_true", help="also the figures as PDF")
    program.add_argument(
        "--format",
        choices=("text", "json", "latex", "markdown"),
        default="text",
        help="nothing but JSON, or nothing but tables as LaTeX or Markdown, on stdout",
    )
    program.add_argument(
        "--margin",
        type=float,
        help="another margin, in points, than the runs state; the report says so",
    )
    return program


if __name__ == "__main__":
    sys.exit(main())
