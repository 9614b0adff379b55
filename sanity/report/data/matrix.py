"""The two tables of methods and checks, turned so that they are high rather than wide."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from sanity.report.data.cells import Cell, Context
from sanity.report.data.questions import Question
from sanity.report.output import tables, wording
from sanity.report.output.tables import Accuracy
from sanity.report.report import Report
from sanity.stats.verdicts import Verdict


@dataclass(frozen=True)
class Head:
    """The heading of a row or column, what it means, and its context where there are several."""

    name: str
    detail: str = ""
    context: str = ""


@dataclass(frozen=True)
class Entry:
    """A place in a table: its main word or figure, smaller lines below, a sign before it."""

    text: str
    lines: tuple[str, ...] = ()
    verdict: Verdict | None = None
    symbol: str = ""


@dataclass(frozen=True)
class Matrix:
    """Methods by checks, or checks by methods where there are more checks than methods."""

    corner: str
    columns: tuple[Head, ...]
    rows: tuple[tuple[Head, tuple[Entry | None, ...]], ...]


def by_context(report: Report) -> Iterator[tuple[Context, Report]]:
    """The report of each context alone, for a table a context."""
    for context in report.contexts:
        cells = tuple(cell for cell in report.cells if cell.context is context)
        asked = tuple(one for one in report.questions if one.cell.context is context)
        yield context, replace(report, cells=cells, questions=asked)


def verdicts(report: Report) -> Matrix:
    """Every question's answer."""
    columns = [Head(label, wording.question(check)) for check, label in report.columns]
    rows = []
    for cell in report.cells:
        answers = {one.label: _answer(one) for one in report.questions if one.cell is cell}
        rows += [(cell, answers)] if answers else []
    return _matrix(report, rows, columns)


def answers(report: Report) -> Matrix:
    """The same beside the tickets as found and the dense networks, method by method."""
    as_found, several = wording.change(wording.ORIGINAL), len(report.contexts) > 1
    columns = [
        Head(as_found),
        *(Head(label, wording.question(check)) for check, label in report.columns),
    ]
    rows: list[tuple[Head, Mapping[str, Entry]]] = []
    for context in report.contexts:
        figures = [row for row in tables.rows(report) if row.cell.context is context]
        dense = next((row.dense for row in figures if row.dense.last), None)
        if dense is not None:
            label = context.label if several else ""
            rows.append((Head("dense network", label, label), {as_found: _figure(dense, False)}))
        for row in figures:
            own = {one.label: _answer(one) for one in report.questions if one.cell is row.cell}
            found = row.arms.get(as_found)
            own |= {as_found: _figure(found, False)} if found and found.last else {}
            rows += [(_head(row.cell, several), own)] if own else []
    return _crossed(rows, columns)


def accuracies(report: Report, *, best: bool) -> Matrix:
    """Every arm's accuracy, dense networks first; ``best``: the best epoch's beside the last."""
    rows = []
    for row in tables.rows(report):
        figures = row.arms | {"dense": row.dense}
        if any(one.last for one in row.arms.values()):
            shown = {name: _figure(one, best) for name, one in figures.items() if one.last}
            rows.append((row.cell, shown))
    checks = {label: arm.check for cell in report.cells for label, arm in cell.arms.items()}
    names = ["dense", *sorted(checks, key=lambda label: wording.position(checks[label]))]
    columns = [Head(name) for name in names if any(name in shown for _, shown in rows)]
    return _matrix(report, rows, columns)


def _matrix(
    report: Report, rows: Sequence[tuple[Cell, Mapping[str, Entry]]], columns: Sequence[Head]
) -> Matrix:
    several = len(report.contexts) > 1
    return _crossed([(_head(cell, several), own) for cell, own in rows], columns)


def _head(cell: Cell, several: bool) -> Head:
    context = cell.context.label if several else ""
    return Head(cell.label, f"{context}: {cell.detail}" if several else cell.detail, context)


def _crossed(rows: Sequence[tuple[Head, Mapping[str, Entry]]], columns: Sequence[Head]) -> Matrix:
    heads = [head for head, _ in rows]
    entries = [tuple(own.get(column.name) for column in columns) for _, own in rows]
    if len(columns) > len(rows) > 0:
        turned = zip(columns, zip(*entries, strict=True), strict=True)
        return Matrix("change", tuple(heads), tuple(turned))
    return Matrix("method", tuple(columns), tuple(zip(heads, entries, strict=True)))


def _answer(question: Question) -> Entry:
    """The word, the effect with its interval, what is to be added."""
    effect, control = wording.effect(question.judgement.paired), question.control
    notes = tables.note(question).split("; ")
    lines = (effect, *notes, f"{control} control" if control else "")
    symbol = f"{tables.symbol(question)} "
    return Entry(tables.word(question), tuple(filter(None, lines)), question.verdict, symbol)


def _figure(one: Accuracy, best: bool) -> Entry:
    lines = [f"n = {one.seeds}"]
    lines += [f"best epoch {one.best}"] if best and one.best else []
    lines += [f"published {one.reference}"] if one.reference else []
    return Entry(one.last, tuple(lines))
