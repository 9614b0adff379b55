"""The report on a terminal: controls first, then accuracies, then verdicts."""

from pathlib import Path

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from sanity.files import near
from sanity.report import controls, tables, words
from sanity.report.controls import State
from sanity.report.report import Report
from sanity.report.tables import Row
from sanity.stats.verdicts import Verdict

STYLES = {
    Verdict.DEPENDS: "bold red",
    Verdict.INDEPENDENT: "bold green",
    Verdict.UNDECIDED: "yellow",
    Verdict.NONE: "dim",
}
BANNER = {State.HOLDS: "green", State.OPEN: "yellow", State.FAILS: "bold white on red"}
ABSENT = 20  # runs without a result that are listed


def render(report: Report, *, best: bool = False, absent: bool = True) -> Group:
    """Everything but the pictures; ``best`` adds the best epoch's accuracy to the last one's.

    ``absent``: list the runs that have no result.
    """
    parts: list[RenderableType] = [Text(report.title, style="bold"), Text(_about(report))]
    state = controls.state(report.controls)
    for warning in report.warnings:
        parts.append(Text(warning, style=BANNER[state]))
    rows = tables.rows(report)
    if any(arm.last for row in rows for arm in row.arms.values()):
        parts.append(_accuracies(report, rows, best=best))
    if report.questions:
        parts += [_verdicts(report, rows), Text(report.headline), Text(_legend(report))]
    parts += [Text(f"note: {note}", style="dim") for note in report.notes]
    parts += _absent(report) if absent else []
    parts += [Text(f"unreadable: {line}", style="red") for line in report.unreadable]
    return Group(*parts)


def link(page: Path) -> Text:
    """The page's path, which many terminals open by a click."""
    return Text("report: ").append(near(page), style=f"link {page.absolute().as_uri()}")


def _accuracies(report: Report, rows: list[Row], *, best: bool) -> Table:
    """A row a cell, a column an arm; nothing that is the same in all rows but the headings."""
    table = _table("test accuracy of the last epoch (%), mean ± std (seeds)")
    place = _place(rows)
    shown = [label for label in tables.arms(report) if any(_last(row, label) for row in rows)]
    dense = any(row.dense.last for row in rows)
    for name in (*place, *(["dense"] if dense else []), *shown):
        table.add_column(name, justify="left" if name in place else "right")
    for row in rows:
        if not any(arm.last for arm in row.arms.values()):
            continue
        accuracies = [row.dense] if dense else []
        accuracies += [row.arms.get(label, tables.Accuracy()) for label in shown]
        figures = []
        for one in accuracies:
            lines = [f"{one.last} ({one.seeds})" if one.last else ""]
            lines += [f"best {one.best}"] if best and one.best else []
            lines += [f"published {one.reference}"] if one.reference else []
            figures.append("\n".join(lines))
        table.add_row(*(getattr(row, name) for name in place), *figures)
    return table


def _verdicts(report: Report, rows: list[Row]) -> Table:
    """A row a cell, a column a check: the word, and below it the effect with its interval."""
    table = _table("does it depend on what the check changes? (points against as found)")
    place = _place(rows)
    columns = [label for _, label in report.columns]
    for name in (*place, *columns):
        table.add_column(name)
    for row in rows:
        if not row.answers:
            continue
        cells = []
        for label in columns:
            found = row.answers.get(label)
            text = Text("")
            if found is not None:
                text = Text(found.word, style=STYLES[found.verdict])
                for line in (found.effect, found.note, found.control):
                    text.append(f"\n{line}" if line else "", style="dim")
            cells.append(text)
        table.add_row(*(getattr(row, name) for name in place), *cells)
    return table


def _about(report: Report) -> str:
    """What all rows of the tables share."""
    contexts = [context.label for context in report.contexts]
    sparsities = sorted({cell.sparsity or 0 for cell in report.cells})
    pruned = words.listed([words.percent(sparsity) for sparsity in sparsities])
    return f"{', '.join(contexts)}, {pruned} pruned" if contexts else ""


def _legend(report: Report) -> str:
    criteria = report.criteria
    together = "a row" if criteria.family == "cell" else "the report"
    return (
        f'Effects with {1 - criteria.alpha:.0%} intervals, paired by seed. "does not depend": '
        f'smaller than {words.margin(criteria.margin)} (TOST), "depends": different from 0 '
        f"(t-test), both at {criteria.alpha:.0%} over all checks of {together} (Holm)."
    )


def _absent(report: Report) -> list[RenderableType]:
    if not report.absent:
        return []
    table = _table(f"{len(report.absent):,} runs without a result")
    for name in ("run", "state", "why"):
        table.add_column(name, overflow="fold")
    for one in report.absent[:ABSENT]:
        table.add_row(one.directory.name, one.word, one.why)
    more = len(report.absent) - ABSENT
    return [table, *([Text(f"and {more:,} more")] if more > 0 else [])]


def _place(rows: list[Row]) -> list[str]:
    """The columns that tell rows apart; the method is always one of them."""
    names = ["context", "method", "sparsity"]
    return [name for name in names if name == "method" or len({getattr(r, name) for r in rows}) > 1]


def _last(row: Row, label: str) -> str:
    return row.arms[label].last if label in row.arms else ""


def _table(title: str) -> Table:
    return Table(box=box.SIMPLE_HEAD, title=title, title_justify="left")
