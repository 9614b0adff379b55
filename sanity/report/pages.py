"""``report.html`` and ``report.md``: the same report for reading, escaped for their format."""

import re
from collections.abc import Mapping, Sequence
from html import escape as html_escaped
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from sanity.report import controls, reproduce, tables, words
from sanity.report.gallery import Section
from sanity.report.report import Report
from sanity.report.tables import Accuracy, Row

FIGURES = "figures"

# What Markdown, and the HTML that may stand in it, would read as more than text.
SPECIAL = re.compile(r"([\\`*_{}\[\]#|~!])")


def html(report: Report, sections: Mapping[str, Section], *, best: bool) -> str:
    """One page that needs nothing else: pictures and style are in it, scripts it has none."""
    environment = Environment(
        loader=PackageLoader("sanity.report"), autoescape=True, undefined=StrictUndefined
    )
    style = (environment.loader.get_source(environment, "style.css"))[0]  # type: ignore[union-attr]
    return environment.get_template("report.html").render(
        **_content(report, sections, best=best), style=style
    )


def markdown(report: Report, sections: Mapping[str, Section], *, best: bool) -> str:
    """The same with links to the pictures' files."""
    environment = Environment(
        loader=PackageLoader("sanity.report"),
        autoescape=False,  # it is Markdown: every text goes through the filter below
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    environment.filters["md"] = escaped
    content = _content(report, sections, best=best)
    rows = [row for row in content["rows"] if row.answers]
    labels = [label for _, label in report.columns]
    text = environment.get_template("report.md").render(
        **content,
        grid=grid,
        folder=FIGURES,
        labels=labels,
        verdict_rows=[[_name(row), *(_answer(row, label) for label in labels)] for row in rows],
        accuracy_rows=[
            [_name(row), *(_figure(one, best) for one in _arms(row, content["arms"]))]
            for row in content["accuracies"]
        ],
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
    accuracies = [row for row in rows if any(arm.last for arm in row.arms.values())]
    shown = [one for row in accuracies for one in (row.dense, *row.arms.values())]
    return {
        "report": report,
        "criteria": report.criteria,
        "margin": words.margin(report.criteria.margin),
        "state": str(controls.state(report.controls)).replace(" ", "-"),
        "contexts": [context.label for context in report.contexts],
        "sections": sections,
        "rows": rows,
        "question": words.question,
        "best": best,
        "expected": controls.EXPECTED,
        "controls": tables.controls(report),
        "control_columns": tables.CONTROLS,
        "accuracies": accuracies,
        "arms": [
            label
            for label in tables.arms(report)
            if any(label in row.arms and row.arms[label].last for row in accuracies)
        ],
        "sources": list(dict.fromkeys(one.source for one in shown if one.source)),
        "effects": tables.effects(report),
        "statistics": [tables.statistics(question) for question in report.questions],
        "statistics_columns": tables.STATISTICS,
        "absent": [[one.directory.name, one.word, one.why, one.command] for one in report.absent],
        "commands": reproduce.commands(report),
        "configuration": reproduce.configuration(report),
        "versions": tables.versions(report),
    }


def _name(row: Row) -> str:
    return f"{row.method} {row.sparsity}\n{row.context}: {row.detail}"


def _answer(row: Row, label: str) -> str:
    found = row.answers.get(label)
    if found is None:
        return ""
    return "\n".join(line for line in (found.word, found.effect, found.note, found.control) if line)


def _arms(row: Row, labels: Sequence[str]) -> list[Accuracy]:
    return [row.dense, *(row.arms.get(label, Accuracy()) for label in labels)]


def _figure(one: Accuracy, best: bool) -> str:
    if not one.last:
        return ""
    lines = [f"{one.last} ({one.seeds})"]
    lines += [f"best epoch {one.best}"] if best and one.best else []
    lines += [f"published {one.reference}"] if one.reference else []
    return "\n".join(lines)
