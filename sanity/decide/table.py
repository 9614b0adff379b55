"""How the questions of a sweep stand while it goes on, as a table on a terminal."""

import time
from collections import Counter
from collections.abc import Mapping

from rich import box
from rich.console import Group, RenderableType
from rich.table import Column, Table
from rich.text import Text

from sanity.core.console import duration
from sanity.core.errors import SanityError
from sanity.decide.ahead import Arm, arms_of, open_questions, seconds_left, standing
from sanity.report import report
from sanity.report.data.questions import Question
from sanity.report.output import tables, wording
from sanity.report.output.terminal import STYLES
from sanity.report.report import Report
from sanity.stats.looks import up_to
from sanity.stats.verdicts import Verdict
from sanity.sweep.grid import arm_of
from sanity.sweep.scheduler import Poll
from sanity.sweep.states import Watch
from sanity.sweep.sweep import Sweep

PAUSE = 3.0  # seconds between two readings of what runs have left, or more,
SHARE = 20  # times what a reading took: the rest of the machine is for training


def render(sweep: Sweep, found: Report, running: Mapping[Arm, int] | None = None) -> Group:
    """A row a question; ``running`` counts the jobs of each arm that are at work."""
    names = ["method", "change", "seeds", "points against as found", "verdict", "likely"]
    if running:
        names.insert(3, "running")
    table = Table(*(Column(name, overflow="fold") for name in names), box=box.SIMPLE_HEAD)
    several = len(found.contexts) > 1
    for one in found.questions:
        context = f"{one.cell.context.label}: " if several else ""
        at_work = sum((running or {}).get(arm, 0) for arm in arms_of(sweep, one))
        table.add_row(
            f"{context}{one.cell.label}",
            one.label,
            _seeds(one),
            *([str(at_work or "")] if running else []),
            wording.effect(one.judgement.paired),
            _verdict(one),
            _likely(sweep, one),
        )
    return Group(Text(heading(sweep, found), style="bold"), table)


def heading(sweep: Sweep, found: Report) -> str:
    """How far it is, in a line."""
    looks, last = up_to(len(sweep.plan.seeds)), sweep.looks[-1]
    number = len(up_to(last.seeds))
    waiting = open_questions(found)
    ended = [look.seeds for look in sweep.looks if look.ended]
    text = standing(found) + (f" after {ended[-1]} seeds" if ended else "")
    if last.why and last.why != standing(found):
        text += f"; {last.why}"
    if not last.ended:
        text += f"; on the way to {last.seeds}, look {number} of {len(looks)}"
    left = seconds_left(sweep, waiting) if waiting else None
    return text + (f"; about {duration(left)} to the likely verdicts" if left else "")


class Live:
    """The same again and again; runs are read anew when more have ended."""

    def __init__(self, sweep: Sweep) -> None:
        self.sweep, self._watch = sweep, Watch(sweep)
        self._shown: RenderableType = Text("")
        self._due, self._done = 0.0, -1
        self._found: Report | None = None

    def __call__(self) -> RenderableType:
        """What is to be shown now."""
        began = time.monotonic()
        if began >= self._due:
            states = self._watch.look(Poll())  # by files: no cluster is asked so often
            done = sum(state.word == "done" for state in states)
            running = Counter(
                arm_of(state.job.overrides) for state in states if state.word == "running"
            )
            if done and done != self._done:
                self._done = done
                try:
                    self._found = report.make([self.sweep.directory])
                except (SanityError, OSError):  # which the sweep's end tells
                    self._found = None
            if self._found is not None and self._found.questions:
                self._shown = render(self.sweep, self._found, running)
            now = time.monotonic()
            self._due = now + max(PAUSE, SHARE * (now - began))
        return self._shown


def _seeds(question: Question) -> str:
    """Those of the latest look, and how many have come since."""
    paired = question.judgement.paired
    looked = paired.last.seeds if paired.last else 0
    more = paired.seeds - looked
    return f"{looked}{f' + {more}' if more else ''}" if looked else str(paired.seeds)


def _verdict(question: Question) -> Text:
    judgement = question.judgement
    if judgement.paired.looks or judgement.verdict is Verdict.NONE:
        text = tables.word(question)
        return Text(text, style=STYLES[question.verdict])
    return Text("")


def _likely(sweep: Sweep, question: Question) -> str:
    """What would decide it, and when."""
    text = tables.note(question)
    left = seconds_left(sweep, [question]) if question.judgement.is_open else None
    return text + (f" (about {duration(left)})" if left else "")
