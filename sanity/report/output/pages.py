"""``report.html`` and ``report.md``: the same report for reading, escaped for their format."""

import re
from collections.abc import Mapping, Sequence
from html import escape as html_escaped
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from sanity.report import reproduce
from sanity.report.data import controls, matrix
from sanity.report.data.matrix import Entry, Matrix
from sanity.report.figures.gallery import Section
from sanity.report.output import tables, wording
from sanity.report.report import Report

FIGURES = "figures"

# What Markdown, and the HTML that may stand in it, would read as more than text.
SPECIAL = re.compile(r"([\\`*_{}\[\]#|~!])")


def html(report: Report, sections: Mapping[str, Section], *, best: bool) -> str:
    """One page that needs nothing else: pictures and style are in it, scripts it has none."""
    environment = Environment(
        loader=PackageLoader("sanity.report.output"), autoescape=True, undefined=StrictUndefined
    )
    style = (environment.loader.get_source(environment, "style.css"))[0]  # type: ignore[union-attr]
    return environment.get_template("report.html").render(
        **_content(report, sections, best=best), style=style
    )


def markdown(report: Report, sections: Mapping[str, Section], *, best: bool) -> str:
    """The same with links to the pictures' files."""
    environment = Environment(
        loader=PackageLoader("sanity.report.output"),
        autoescape=False,  # it is Markdown: every text goes through the filter below
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    environment.filters["md"] = escaped
    text = environment.get_template("report.md").render(
        **_content(report, sections, best=best), grid=grid, matrix=_matrix, folder=FIGURES
    )
    return re.sub(r"\n{3,}", "\n\n", text)


def escaped(text: Any) -> str:
    """A text of whatever origin, as plain text in Markdown, on one line."""
    return SPECIAL.sub(r"\\\1", html_escaped(" ".join(str(text).split()), quote=False))


def grid(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; line breaks within a cell are kept."""
    head = [_line(columns), "|" + " --- |" * len(columns)]
    return "\n".join([*head, *(_line(row) for row in rows)])


def _line(cells: Sequence[str]) -> str:
    texts = ("<br>".join(escaped(line) for line in str(cell).split("\n")) for cell in cells)
    return f"| {' | '.join(texts)} |"


def _content(report: Report, sections: Mapping[str, Section], *, best: bool) -> dict[str, Any]:
    rows = tables.rows(report)
    shown = [one for row in rows for one in (row.dense, *row.arms.values()) if one.last]
    return {
        "report": report,
        "criteria": report.criteria,
        "margin": wording.margin(report.criteria.margin),
        "state": str(controls.state(report.questions)).replace(" ", "-"),
        "contexts": [context.label for context in report.contexts],
        "sections": sections,
        "verdicts": matrix.verdicts(report),
        "accuracies": matrix.accuracies(report, best=best),
        "expected": controls.EXPECTED,
        "controls": tables.controls(report),
        "control_columns": tables.CONTROLS,
        "sources": list(dict.fromkeys(one.source for one in shown if one.source)),
        "effects": tables.effects(report),
        "statistics": [tables.statistics(question) for question in report.questions],
        "statistics_columns": tables.STATISTICS,
        "absent": tables.absent(report),
        "absent_columns": tables.ABSENT,
        "commands": reproduce.commands(report),
        "configuration": reproduce.configuration(report),
        "versions": tables.versions(report),
    }


def _matrix(content: Matrix) -> str:
    heads = [content.corner, *(_lines(head.name, head.detail) for head in content.columns)]
    rows = [
        [_lines(head.name, head.detail), *(_place(entry) for entry in entries)]
        for head, entries in content.rows
    ]
    return grid(heads, rows)


def _place(entry: Entry | None) -> str:
    return "" if entry is None else _lines(entry.text, *entry.lines)


def _lines(*lines: str) -> str:
    return "\n".join(line for line in lines if line)
