"""``references.bib``: what the runs of a report used, for whoever cites them."""

import functools
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import sanity.archs
import sanity.checks
import sanity.datasets
import sanity.pruners
import sanity.ratios
import sanity.report.data
import sanity.rewinds
from sanity.core.option import Option, options
from sanity.report.data import runs
from sanity.report.data.runs import OURS, Run
from sanity.report.output import wording
from sanity.report.output.as_latex import escaped
from sanity.report.report import Report

FILE = Path(sanity.report.data.__path__[0]) / "bibliography.bib"
MARK = "% Written by sanity.report"
"""How the file begins, by which one of one's own is told from a report's."""

SOFTWARE = ("sanity", "su2020sanity")  # and the paper whose checks it makes
STATISTICS = ("schuirmann1987comparison", "holm1979simple")
PACKAGES: dict[str, ModuleType] = {
    "dataset": sanity.datasets,
    "arch": sanity.archs,
    "pruner": sanity.pruners,
    "ratio": sanity.ratios,
    "rewind": sanity.rewinds,
    "sanity_check": sanity.checks,
}
VERSION = "<version>"  # where an entry names the software's


def render(report: Report) -> str:
    """The entries, in the order of the bibliography."""
    used = cited(report)
    version = wording.listed(runs.versions(report.runs).get("sanity", [sanity.__version__]))
    texts = (text for key, text in bibliography().items() if key in used)
    # BibTeX counts braces, whatever stands before them.
    version = escaped(re.sub(r"[{}]", "", version))
    text = "\n".join([f"{MARK}: what the runs of this report used.\n", *texts])
    return text.replace(VERSION, version)


def cited(report: Report) -> set[str]:
    """The keys of what the runs used; tests only where something was compared."""
    found = {*SOFTWARE, *(STATISTICS if report.questions else ())}
    for run in report.runs:
        for group, package in PACKAGES.items():
            known = options(package, Option)
            found.update(*(known[name].cites for name in _names(run, group) if name in known))
    return found


def _names(run: Run, group: str) -> Iterator[str]:
    """The option of a group as its module is called, and the pruner that a ratio copies.

    One's own options cite nothing: reports read records, and run no code that these name.
    """
    config = run.config.get(group, {})
    yield _option(config.get("_target_"), run.choices[group])
    if group == "pruner" and run.choices["ratio"] == "like":
        lender = str(run.config.get("ratio", {}).get("of"))
        yield _option(lender if "." in lender else None, lender)


def _option(target: object, choice: str) -> str:
    if not isinstance(target, str):
        return choice
    parts = target.split(".")
    return parts[2].rstrip("_") if target.startswith(OURS) and len(parts) > 2 else ""


@functools.cache
def bibliography() -> dict[str, str]:
    """All entries by key; each begins and ends at the beginning of a line."""
    entries = re.finditer(r"^@\w+\{([^,\s]+),.*?^\}\n", FILE.read_text(), re.M | re.S)
    return {entry[1]: entry[0] for entry in entries}
