"""Tables a person reads: the plan of a sweep, how its jobs stand, what failed."""

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich import box
from rich.console import Group, RenderableType
from rich.table import Column, Table
from rich.text import Text

from sanity.core.files import near
from sanity.sweep import design
from sanity.sweep.cost import Cost
from sanity.sweep.plan import Plan, differing
from sanity.sweep.slurm.cluster import condense
from sanity.sweep.states import WORDS, State, count
from sanity.sweep.sweep import Sweep
from sanity.sweep.under_way import Shared

KEY = re.compile(r"\b[0-9a-f]{20}\b")  # of a stage
STYLES = {"done": "green", "running": "cyan", "failed": "red", "missing": "yellow"}


def plan(plan: Plan, cost: Cost, first: Cost | None = None) -> Group:
    """The jobs, what was left out of the grid, and the stages: all, in the store, to compute.

    ``cost`` is that of all of them; of a plan that grows, ``first`` is that of its first look.
    """
    names = ("of all jobs", "distinct", "in the store", "to compute", "epochs")
    columns = (Column(name, justify="right") for name in names)
    table = Table("stage", *columns, box=box.SIMPLE_HEAD)
    for row in cost.rows:
        figures = (row.asked, row.distinct, row.stored, row.missing)
        epochs = f"{row.epochs:,}" if row.trains else ""
        table.add_row(row.stage, *(f"{figure:,}" for figure in figures), epochs)
    title = Text(_title(plan), style="bold")
    estimates = [cost.estimate()]
    if first is not None:
        estimates = [f"The first look. {first.estimate()}", f"All looks. {cost.estimate()}"]
    said = [Text(text) for text in (*design.sentences(plan), *estimates)]
    return Group(title, jobs_line(plan), *left_out(plan), table, *said)


def jobs_line(plan: Plan) -> Text:
    """How many jobs there are, and what they differ in: a product only where they are one."""
    rows = differing(plan.jobs).values()
    values = dict.fromkeys(pair for settings in rows for pair in settings.items())
    counts = Counter(name for name, _ in values)
    everywhere = all(len(settings) == len(counts) for settings in rows)
    if everywhere and math.prod(counts.values()) == len(rows):
        note = " x ".join(f"{count} {name}" for name, count in counts.items())
    else:
        several = [f"{count} {name}" for name, count in counts.items() if count > 1]
        note = f"some of the combinations of {', '.join(several)}" if several else ""
    jobs = "job" if len(rows) == 1 else "jobs"
    return Text(f"{len(rows):,} {jobs}" + (f": {note}" if note else ""))


def left_out(plan: Plan) -> list[RenderableType]:
    """One line for each reason to leave combinations out."""
    reasons = Counter(one.reason for one in plan.left_out)
    return [Text(f"left out {n}: {reason}", style="dim") for reason, n in reasons.items()]


def jobs(plan: Plan, limit: int) -> Group:
    """The jobs by number, with the settings in which they differ."""
    rows = list(differing(plan.jobs).items())
    names = list(dict.fromkeys(name for _, settings in rows for name in settings))
    table = Table("job", *names, box=box.SIMPLE_HEAD)
    for number, settings in rows[:limit]:
        table.add_row(str(number), *(settings.get(name, "") for name in names))
    more = len(rows) - limit
    return Group(table, *([Text(f"and {more:,} more jobs")] if more > 0 else []))


def heading(sweep: Sweep) -> Text:
    """What a sweep asks, when it was started and how."""
    return Text(f"{_title(sweep.plan)}  ({sweep.launcher}, {sweep.created})", style="bold")


def line(sweep: Sweep) -> Text:
    """A sweep in one line."""
    return Text(f"{sweep.created}  {len(sweep.plan.jobs):>6,} jobs  {_title(sweep.plan)}  ").append(
        str(sweep.directory), style="dim"
    )


def counts(states: Sequence[State]) -> Text:
    """``57 jobs: 40 done, 2 running, ...`` in one line."""
    text = Text(f"{len(states):,} jobs:")
    found = count(states)
    for word in WORDS:
        if found[word]:
            text.append(f"  {found[word]:,} {word}", style=STYLES.get(word, ""))
    return text


def shared(plan: Plan, done: int, running: Sequence[Shared]) -> list[RenderableType]:
    """The stages that jobs share: how many are done, and those that are being computed."""
    if not plan.shared:
        return []
    line = Text(f"{len(plan.shared):,} shared stages:")
    for number, word in ((done, "done"), (len(running), "running")):
        if number:
            line.append(f"  {number:,} {word}", style=STYLES[word])
    table = _table("stage", "state", "why", "log")
    for one in running:
        state = Text("running", style=STYLES["running"])
        table.add_row(f"{one.name} {one.key}", state, one.why, _near(one.log))
    return [line, *([table] if running else [])]


def standing(states: Sequence[State], limit: int | None) -> Group:
    """The jobs that are not done, with what they wait for or why they failed."""
    rows = [state for state in states if state.word != "done"]
    shown = [[state] for state in rows] if limit is None else _alike(rows)[:limit]
    table = _table("job", "state", "settings", "why", "log")
    settings = differing([state.job for state in states])
    for group in shown:
        word = Text(group[0].word, style=STYLES.get(group[0].word, ""))
        numbers, *others = _row(group, settings)
        table.add_row(numbers, word, *others)
    parts: list[RenderableType] = [table] if shown else []
    more = len(rows) - sum(map(len, shown))
    if more:
        parts.append(Text(f"and {more:,} more (--all shows them)"))
    elif len(shown) < len(rows):
        parts.append(Text("--all lists them one by one", style="dim"))
    return Group(*parts)


def failures(states: Sequence[State], limit: int) -> Group:
    """The failed jobs, a row a reason: what sets them apart, why they failed, where to look."""
    failed = [state for state in states if state.word == "failed"]
    settings = differing([state.job for state in states])
    table = _table("job", "overrides", "reason", "log")
    table.title, table.title_justify, table.title_style = "failed", "left", "red"
    groups = _alike(failed)
    for group in groups[:limit]:
        table.add_row(*_row(group, settings))
    more = sum(map(len, groups[limit:]))
    return Group(table, *([Text(f"and {more:,} more")] if more > 0 else []))


def _alike(states: Sequence[State]) -> list[list[State]]:
    """Jobs that stand alike for one reason, to be read once; running ones by themselves."""
    found: dict[tuple[str, ...], list[State]] = {}
    for state in states:
        apart = (str(state.job.number),) if state.word == "running" else ()
        found.setdefault((state.word, reason(state.why), *apart), []).append(state)
    return list(found.values())


def reason(why: str) -> str:
    """What tells reasons apart: that a shared stage failed is one, whichever seed's it was."""
    return KEY.sub("", why)


def _row(
    group: Sequence[State], settings: Mapping[int, dict[str, str]]
) -> tuple[str, str, str, str]:
    """Numbers, the settings that all of a group have, why, and the first one's log."""
    first, numbers = group[0], spans([state.job.number for state in group])
    shared = set.intersection(*({*settings[state.job.number].items()} for state in group))
    own = settings[first.job.number].items()
    words = " ".join(f"{name}={value}" for name, value in own if (name, value) in shared)
    if len(group) > 1:
        numbers = f"{len(group)}: {numbers}"
    elif not words:
        words = first.job.directory
    return numbers, words, first.why, _near(first.log)


def spans(numbers: Sequence[int]) -> str:
    """0-3, 5: numbers, with those that follow each other put together."""
    return condense(numbers).replace(",", ", ")


def _title(plan: Plan) -> str:
    return plan.title or "Sweep"


def _table(*names: str) -> Table:
    return Table(*(Column(name, overflow="fold") for name in names), box=box.SIMPLE_HEAD)


def _near(path: Path | None) -> str:
    return "" if path is None else near(path)
