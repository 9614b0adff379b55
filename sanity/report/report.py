"""What a report is made of, before anybody decides how it looks."""

import dataclasses
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path

from sanity.report.data import controls
from sanity.report.data.cells import Cell, Context
from sanity.report.data.collect import collect
from sanity.report.data.controls import Control
from sanity.report.data.grouping import group_runs
from sanity.report.data.notes import warnings_of
from sanity.report.data.questions import Question, ask, is_control
from sanity.report.data.runs import Absent, Run
from sanity.report.output import wording
from sanity.stats import criteria as rules
from sanity.stats.criteria import Criteria
from sanity.sweep import growth
from sanity.sweep.sweep import Sweep


@dataclass(frozen=True)
class Report:
    """Everything that is found in some runs; ``places`` is where they were looked for.

    ``late_margin`` is one that was chosen for the report and not before the runs. ``notes`` are
    what is peculiar about them, ``unreadable`` the records that could not be read.
    """

    title: str
    places: tuple[Path, ...]
    created: str
    criteria: Criteria
    runs: tuple[Run, ...]
    cells: tuple[Cell, ...]
    questions: tuple[Question, ...]
    absent: tuple[Absent, ...]
    sweeps: tuple[Sweep, ...]
    notes: tuple[str, ...]
    unreadable: tuple[str, ...]
    late_margin: float | None = None

    @property
    def contexts(self) -> list[Context]:
        """The data sets, networks and recipes, in order."""
        return list({id(cell.context): cell.context for cell in self.cells}.values())

    @cached_property
    def controls(self) -> list[Control]:
        """The questions whose answers are known beforehand."""
        return controls.controls(self.questions)

    @property
    def warnings(self) -> list[str]:
        """What stands on top: controls that do not hold."""
        return controls.sentences(self.questions) if self.questions else []

    @property
    def methods(self) -> list[Cell]:
        """The cells that are compared with each other: all but positive controls."""
        return [cell for cell in self.cells if not is_control(cell)] or list(self.cells)

    @property
    def columns(self) -> list[tuple[str, str]]:
        """(check, label) of every arm that is compared with the original, in order."""
        found = {(one.check, one.label): None for one in self.questions}
        return sorted(found, key=lambda column: wording.position(column[0]))

    @property
    def commands(self) -> list[str]:
        """The commands that make these runs again, and then this report."""
        found = [shlex.join(["python", "run.py", *sweep.command[1:]]) for sweep in self.sweeps]
        places = [str(place) for place in self.places]
        late = [] if self.late_margin is None else ["--margin", f"{self.late_margin:g}"]
        return [*found, shlex.join(["python", "-m", "sanity.report", *places, *late])]


def make(places: Sequence[Path], margin: float | None = None) -> Report:
    """The report of all runs in and below ``places``.

    ``margin`` takes the place of the one that the runs were started with, which the report says.
    Raises SanityError for a place without runs.
    """
    found = collect(places)
    cells, notes = group_runs(found.runs)
    criteria, said = _criteria(found.runs, margin)
    questions = ask(cells, criteria, found.sweeps)
    if any(sweep.seen for sweep in found.sweeps):
        said.append(f"{growth.SEEN}: p-values count double")
    if not all(one.judgement.is_decided for one in questions):
        said += [
            f"no more seeds were asked for after {sweep.looks[-1].seeds}: {sweep.looks[-1].why}"
            for sweep in found.sweeps
            if sweep.looks and sweep.looks[-1].why
        ]
    titles = dict.fromkeys(sweep.plan.title for sweep in found.sweeps if sweep.plan.title)
    return Report(
        title="; ".join(titles) or "Sanity checks",
        places=tuple(places),
        created=datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %z"),
        criteria=criteria,
        runs=tuple(found.runs),
        cells=tuple(cells),
        questions=tuple(questions),
        absent=tuple(found.absent),
        sweeps=tuple(found.sweeps),
        notes=(*said, *notes, *warnings_of(found.runs, cells)),
        unreadable=tuple(found.unreadable),
        late_margin=margin,
    )


def _criteria(runs: Sequence[Run], margin: float | None) -> tuple[Criteria, list[str]]:
    """What all runs agree on; where they do not, the strictest."""
    stated = list(dict.fromkeys(run.criteria for run in runs)) or [Criteria()]
    notes = []
    if len(stated) > 1:
        notes.append(
            "the runs state different verdict.* settings: the smallest margin and alpha count"
        )
    if len({one.grows for one in stated}) > 1:
        notes.append(
            "some runs are of sweeps that go on until decided: all are judged at looks, as these"
        )
    if runs and not all("verdict" in run.config for run in runs):
        notes.append("some runs state no margin (older records): the default counts for them")
    criteria = Criteria(
        margin=min(one.margin for one in stated),
        alpha=min(one.alpha for one in stated),
        family="report" if any(one.family == "report" for one in stated) else "cell",
        until="decided" if any(one.grows for one in stated) else "seeds",
    )
    if margin is not None and margin != criteria.margin:
        notes.append(
            f"the margin of {margin:g} points was chosen for this report, after the runs: they "
            f"state {criteria.margin:g}"
        )
        criteria = rules.read(dataclasses.asdict(criteria) | {"margin": margin})
    return criteria, notes
