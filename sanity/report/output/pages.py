"""``report.html`` and ``report.md``: the same report for reading, escaped for their format."""

import re
from collections.abc import Mapping
from html import escape as html_escaped
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from sanity.report import reproduce
from sanity.report.data import controls, footprints, matrix
from sanity.report.figures.gallery import Section
from sanity.report.output import costs, tables, wording
from sanity.report.output.answers import answers
from sanity.report.report import Report

FIGURES, BIBLIOGRAPHY = "figures", "references.bib"
AGAIN = 10  # seconds after which the page of a sweep that goes on is loaded anew

# What Markdown, and the HTML that may stand in it, would read as more than text.
SPECIAL = re.compile(r"([\\`*_{}\[\]#|~!])")


def html(
    report: Report, sections: Mapping[str, Section], *, best: bool, goes_on: bool = False
) -> str:
    """One page that needs nothing else: pictures and style are in it, scripts it has none.

    ``goes_on``: it loads itself anew every few seconds.
    """
    content = _content(report, sections, best=best) | {"again": AGAIN if goes_on else None}
    return _templates().get_template("report.html").render(content)


def markdown(report: Report, sections: Mapping[str, Section], *, best: bool) -> str:
    """The same with links to the pictures' files."""
    text = _templates().get_template("report.md").render(_content(report, sections, best=best))
    return _closed_up(text)


def tables_alone(report: Report, command: str, *, best: bool) -> str:
    """The tables of methods and checks in Markdown, for each context; ``command`` made them."""
    found = [
        (context, matrix.accuracies(one, best=best), matrix.verdicts(one))
        for context, one in matrix.by_context(report)
    ]
    text = (
        _templates()
        .get_template("tables.md")
        .render(
            report=report,
            tables=found,
            command=command,
            criteria=report.criteria,
            margin=wording.margin(report.criteria.margin),
        )
    )
    return _closed_up(text)


def _closed_up(text: str) -> str:
    return re.sub(r"\n{3,}", "\n\n", f"{text}\n")


def _templates() -> Environment:
    """HTML is escaped as a whole; of Markdown every text goes through the filter below."""
    environment = Environment(
        loader=PackageLoader("sanity.report.output"),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
    )
    environment.filters |= {"md": escaped, "cell": _cell}
    return environment


def escaped(text: Any) -> str:
    """A text of whatever origin, as plain text in Markdown, on one line."""
    return SPECIAL.sub(r"\\\1", html_escaped(" ".join(str(text).split()), quote=False))


def _cell(text: Any) -> str:
    """The same in a table, where line breaks are kept."""
    return "<br>".join(map(escaped, str(text).split("\n")))


def _content(report: Report, sections: Mapping[str, Section], *, best: bool) -> dict[str, Any]:
    shown = [one for row in tables.rows(report) for one in (row.dense, *row.arms.values())]
    return {
        "report": report,
        "criteria": report.criteria,
        "folder": FIGURES,
        "bibliography": BIBLIOGRAPHY,
        "margin": wording.margin(report.criteria.margin),
        "state": str(controls.state(report.questions)).replace(" ", "-"),
        "sections": sections,
        "answers": answers(report),
        "beside": matrix.answers(report),
        "resolutions": tables.resolutions(report),
        "over_looks": wording.over_looks(report.criteria),
        "accuracies": matrix.accuracies(report, best=best),
        "expected": controls.EXPECTED,
        "controls": tables.controls(report),
        "sources": list(dict.fromkeys(one.source for one in shown if one.source)),
        "tickets": costs.tickets(report),
        "counting": footprints.COUNTING,
        "spent": costs.spent(report),
        "effects": tables.effects(report),
        "statistics": tables.statistics(report),
        "absent": tables.absent(report),
        "commands": reproduce.commands(report),
        "configuration": reproduce.configuration(report),
        "versions": tables.versions(report),
    }
