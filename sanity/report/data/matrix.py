"""The two tables of methods and checks, turned so that they are high rather than wide."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sanity.report.output import tables, wording
from sanity.report.output.tables import Accuracy, Answer, Row
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

    def turned(self, corner: str) -> "Matrix":
        """Rows as columns; ``corner`` names the rows then."""
        entries = zip(*(entries for _, entries in self.rows), strict=True)
        rows = tuple(zip(self.columns, entries, strict=True))
        return Matrix(corner, tuple(head for head, _ in self.rows), rows)


def verdicts(report: Report) -> Matrix:
    """Every question's answer."""
    columns = [Head(label, wording.question(check)) for check, label in report.columns]
    rows = [row for row in tables.rows(report) if row.answers]
    return _matrix(report, rows, columns, lambda row, name: _answer(row.answers.get(name)))


def accuracies(report: Report, *, best: bool) -> Matrix:
    """Every arm's accuracy, dense networks first; ``best``: the best epoch's beside the last."""
    rows = [row for row in tables.rows(report) if any(arm.last for arm in row.arms.values())]

    def entry(row: Row, name: str) -> Entry | None:
        return _figure(row.dense if name == "dense" else row.arms.get(name), best)

    names = ["dense", *tables.arms(report)]
    columns = [Head(name) for name in names if any(entry(row, name) for row in rows)]
    return _matrix(report, rows, columns, entry)


def _matrix(
    report: Report,
    rows: Sequence[Row],
    columns: Sequence[Head],
    entry: Callable[[Row, str], Entry | None],
) -> Matrix:
    several = len(report.contexts) > 1
    found = tuple(
        (_head(row, several), tuple(entry(row, column.name) for column in columns)) for row in rows
    )
    matrix = Matrix("method", tuple(columns), found)
    return matrix.turned("change") if len(columns) > len(rows) > 0 else matrix


def _head(row: Row, several: bool) -> Head:
    detail = f"{row.context}: {row.detail}" if several else row.detail
    context = row.context if several else ""
    return Head(f"{row.method} {row.sparsity}".strip(), detail, context)


def _answer(answer: Answer | None) -> Entry | None:
    if answer is None:
        return None
    lines = (answer.effect, answer.note, answer.control)
    return Entry(
        answer.word, tuple(line for line in lines if line), answer.verdict, f"{answer.symbol} "
    )


def _figure(one: Accuracy | None, best: bool) -> Entry | None:
    if one is None or not one.last:
        return None
    lines = [f"n = {one.seeds}"]
    lines += [f"best epoch {one.best}"] if best and one.best else []
    lines += [f"published {one.reference}"] if one.reference else []
    return Entry(one.last, tuple(lines))
