"""The report on a terminal: controls first, then accuracies, then verdicts."""

from pathlib import Path

from rich import box
from rich.console import Group, RenderableType
from rich.table import Column, Table
from rich.text import Text

from sanity.core.files import near
from sanity.report.data import controls, matrix
from sanity.report.data.controls import State
from sanity.report.data.matrix import Entry, Head, Matrix
from sanity.report.output import tables, wording
from sanity.report.output.answers import answers
from sanity.report.report import Report
from sanity.stats.verdicts import Verdict

STYLES = {
    Verdict.DEPENDS: "bold red",
    Verdict.INDEPENDENT: "bold green",
    Verdict.UNDECIDED: "yellow",
    Verdict.NONE: "dim",
}
BANNER = {State.HOLDS: "green", State.OPEN: "yellow", State.FAILS: "bold white on red"}
ABSENT = 20  # reasons for runs to have no result that are listed


def render(report: Report, *, best: bool = False, absent: bool = True) -> Group:
    """Everything but the pictures; ``best`` adds the best epoch's accuracy to the last one's.

    ``absent``: list the runs that have no result.
    """
    parts: list[RenderableType] = [Text(report.title, style="bold")]
    parts += [Text(about)] if (about := _about(report)) else []
    state = controls.state(report.questions)
    warnings = [Text(warning, style=BANNER[state]) for warning in report.warnings]
    found = [Text(answer, style="bold") for answer in answers(report)]
    # Where a control fails, no answer is to be believed.
    parts += [*warnings, *found] if state is State.FAILS else [*found, *warnings]
    if report.questions:
        title = "accuracy as found, mean ± std (seeds), and what each change does to it (points)"
        parts += [_table(title, matrix.answers(report)), Text(_legend(report))]
    figures = matrix.accuracies(report, best=best)
    if figures.rows and (best or not report.questions):
        title = "test accuracy of the last epoch (%), mean ± std (seeds)"
        parts.append(_table(title, figures))
    parts += [Text(f"note: {note}", style="dim") for note in report.notes]
    parts += _absent(report) if absent else []
    parts += [Text(f"unreadable: {line}", style="red") for line in report.unreadable]
    return Group(*parts)


def link(page: Path) -> Text:
    """The page's path, which many terminals open by a click."""
    return Text("report: ").append(near(page), style=f"link {page.absolute().as_uri()}")


def _table(title: str, content: Matrix) -> Table:
    """A table of methods and checks; what matters is on the first line of a place."""
    headings = (Column(_heading(head)) for head in content.columns)
    table = _empty(title, content.corner, *headings)
    for head, entries in content.rows:
        table.add_row(_heading(head), *(_place(entry) for entry in entries))
    return table


def _empty(title: str, *columns: Column | str) -> Table:
    return Table(*columns, box=box.SIMPLE_HEAD, title=title, title_justify="left")


def _heading(head: Head) -> Text:
    return Text(head.name).append(f"\n{head.context}" if head.context else "", style="dim")


def _place(entry: Entry | None) -> Text:
    if entry is None:
        return Text("")
    if entry.verdict is None:
        rest = "".join(f"\n{line}" for line in entry.lines[1:])
        seeds = entry.lines[0].removeprefix("n = ")
        return Text(f"{entry.text} ({seeds})").append(rest, style="dim")
    text = Text(entry.text, style=STYLES[entry.verdict])
    return text.append("".join(f"\n{line}" for line in entry.lines), style="dim")


def _about(report: Report) -> str:
    """What all rows of the tables share."""
    contexts = [context.label for context in report.contexts]
    sparsities = sorted({cell.sparsity or 0 for cell in report.cells})
    pruned = wording.listed([wording.percent(sparsity) for sparsity in sparsities])
    said = [f"{', '.join(contexts)}, {pruned} pruned"] if contexts and not report.questions else []
    return "; ".join([*said, *tables.resolutions(report)])


def _legend(report: Report) -> str:
    criteria = report.criteria
    together = "a method" if criteria.family == "cell" else "the report"
    rules = (
        f'"does not depend": smaller than {wording.margin(criteria.margin)} (TOST), "depends": '
        f"different from 0 (t-test), both at {criteria.alpha:.0%} over all checks of {together} "
        f"(Holm){wording.over_looks(criteria)}."
    )
    return f"{1 - criteria.alpha:.0%} intervals, paired by seed. {rules}"


def _absent(report: Report) -> list[RenderableType]:
    if not report.absent:
        return []
    title = f"{len(report.absent):,} runs without a result"
    shown = ("run", "state", "why")
    table = _empty(title, *(Column(name, overflow="fold") for name in shown))
    rows = tables.absent(report)
    for row in rows[:ABSENT]:
        table.add_row(*(row[name] for name in shown))
    more = len(rows) - ABSENT
    return [table, *([Text(f"and {more:,} more reasons")] if more > 0 else [])]
