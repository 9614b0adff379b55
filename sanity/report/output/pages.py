"""``report.html`` and ``report.md``: the same report for reading, escaped for their format."""

import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape as html_escaped
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from sanity.report import reproduce
from sanity.report.data import controls, matrix
from sanity.report.data.matrix import Entry, Matrix
from sanity.report.figures.gallery import Section
from sanity.report.output import tables, wording
from sanity.report.output.tables import Table
from sanity.report.report import Report

FIGURES = "figures"

# What Markdown, and the HTML that may stand in it, would read as more than text.
SPECIAL = re.compile(r"([\\`*_{}\[\]#|~!])")


def html(report: Report, sections: Mapping[str, Section], *, best: bool) -> str:
    """One page that needs nothing else: pictures and style are in it, scripts it has none."""
    return _templates().get_template("report.html").render(_content(report, sections, best=best))


def markdown(report: Report, sections: Mapping[str, Section], *, best: bool) -> str:
    """The same with links to the pictures' files."""
    content = _content(report, sections, best=best)
    template = _templates().get_template("report.md")
    text = template.render(content, table=_table, matrix=_matrix, folder=FIGURES)
    return re.sub(r"\n{3,}", "\n\n", f"{text}\n")


def _templates() -> Environment:
    """HTML is escaped as a whole; of Markdown every text goes through the filter below."""
    environment = Environment(
        loader=PackageLoader("sanity.report.output"),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
    )
    environment.filters["md"] = escaped
    return environment


def escaped(text: Any) -> str:
    """A text of whatever origin, as plain text in Markdown, on one line."""
    return SPECIAL.sub(r"\\\1", html_escaped(" ".join(str(text).split()), quote=False))


def _table(rows: Table, columns: Sequence[str] = ()) -> str:
    """A Markdown table; ``columns`` of one that may have no rows."""
    return _grid(columns or [*rows[0]], (row.values() for row in rows))


def _grid(columns: Sequence[str], rows: Iterable[Iterable[str]]) -> str:
    """Line breaks within a cell are kept."""
    head = [_line(columns), "|" + " --- |" * len(columns)]
    return "\n".join([*head, *(_line(row) for row in rows)])


def _line(cells: Iterable[str]) -> str:
    texts = ("<br>".join(escaped(line) for line in str(cell).split("\n")) for cell in cells)
    return f"| {' | '.join(texts)} |"


def _content(report: Report, sections: Mapping[str, Section], *, best: bool) -> dict[str, Any]:
    shown = [one for row in tables.rows(report) for one in (row.dense, *row.arms.values())]
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
        "sources": list(dict.fromkeys(one.source for one in shown if one.source)),
        "effects": tables.effects(report),
        "statistics": tables.statistics(report),
        "absent": tables.absent(report),
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
    return _grid(heads, rows)


def _place(entry: Entry | None) -> str:
    return "" if entry is None else _lines(entry.text, *entry.lines)


def _lines(*lines: str) -> str:
    return "\n".join(line for line in lines if line)
