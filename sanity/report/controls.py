"""Can the experiment tell? A control's answer is known beforehand; a battery has two kinds."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sanity.report import words
from sanity.report.questions import Question
from sanity.stats.verdicts import Verdict

EXPECTED = {
    "negative": "a random ticket, rearranged, is another random ticket and must not get worse",
    "positive": "a fine-tuned ticket, rewound late in the schedule, must need its trained weights",
}


class State(StrEnum):
    """How a control came out."""

    HOLDS = "holds"
    OPEN = "not shown"
    FAILS = "fails"


@dataclass(frozen=True)
class Control:
    """A question whose answer is known beforehand, and what came of it."""

    kind: str
    question: Question

    @property
    def state(self) -> State:
        """Holds where the verdict is the expected one, fails where it is the opposite."""
        verdict, mean = self.question.verdict, self.question.judgement.paired.mean
        hurt = verdict is Verdict.DEPENDS and (mean or 0) < 0
        if verdict in (Verdict.UNDECIDED, Verdict.NONE):
            return State.OPEN
        if self.kind == "negative":
            return State.HOLDS if verdict is Verdict.INDEPENDENT else State.FAILS
        return State.HOLDS if hurt else State.FAILS


def controls(questions: Sequence[Question]) -> list[Control]:
    """The controls among the questions, negative ones first."""
    found = [Control(one.control, one) for one in questions if one.control]
    return sorted(found, key=lambda control: control.kind != "negative")


def state(found: Sequence[Control]) -> State:
    """How the controls came out together: the worst counts, and one of each kind is needed."""
    states = {control.state for control in found}
    if State.FAILS in states:
        return State.FAILS
    complete = {control.kind for control in found} == set(EXPECTED)
    return State.HOLDS if complete and states == {State.HOLDS} else State.OPEN


def sentences(found: Sequence[Control]) -> list[str]:
    """What a reader must know of the controls before any verdict: a line each, worst first."""
    lines = []
    for wanted in (State.FAILS, State.OPEN):
        lines += [_sentence(control) for control in found if control.state is wanted]
    missing = sorted(set(EXPECTED) - {control.kind for control in found})
    if missing:
        lines.append(
            f"No {words.listed(missing)} control among these runs: "
            f"{'; '.join(EXPECTED[kind] for kind in missing)}. sweep=battery has both."
        )
    if not lines:
        lines.append(f"All {len(found)} controls came out as expected.")
    return lines


def _sentence(control: Control) -> str:
    question, paired = control.question, control.question.judgement.paired
    where = f"{question.cell.label}, {question.label} ({question.cell.context.label})"
    effect = words.points(paired.mean)
    if control.state is State.FAILS:
        return (
            f"The {control.kind} control FAILS: {where}: {question.verdict}, {effect} points, but "
            f"{EXPECTED[control.kind]}. Do not trust the verdicts below before this is understood."
        )
    found = f"{effect} points with {words.count(paired.seeds, 'seed')}" if effect else "no seeds"
    if control.kind == "positive":
        return (
            f"The positive control is not shown: {where}: {found}. Such an experiment might not "
            "see a dependence where there is one."
        )
    return f"The negative control is not shown: {where}: {found}, {question.verdict}."
