"""Can the experiment tell? A control's answer is known beforehand; a battery has two kinds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from sanity.report.data.questions import Question
from sanity.report.output import wording
from sanity.stats.verdicts import Verdict

EXPECTED = {
    "negative": "a random ticket, rearranged, is another random ticket, and as good",
    "positive": "a fine-tuned ticket, rewound late in the schedule, must need its trained weights",
}


class State(StrEnum):
    """How a control came out."""

    HOLDS = "holds"
    OPEN = "still open"
    FAILS = "fails"


@dataclass(frozen=True)
class Control:
    """A question whose answer is known beforehand, and what came of it."""

    kind: str
    question: Question

    @property
    def state(self) -> State:
        """Holds where the verdict is the expected one, fails where it is the opposite."""
        verdict, mean = self.question.verdict, self.question.judgement.effect
        if verdict in (Verdict.UNDECIDED, Verdict.NONE):
            return State.OPEN
        hurt = verdict is Verdict.DEPENDS and (mean or 0) < 0
        expected = verdict is Verdict.INDEPENDENT if self.kind == "negative" else hurt
        return State.HOLDS if expected else State.FAILS


def controls(questions: Sequence[Question]) -> list[Control]:
    """The controls among the questions, negative ones first."""
    found = [Control(one.control, one) for one in questions if one.control]
    return sorted(found, key=lambda control: control.kind != "negative")


def missing(questions: Sequence[Question]) -> dict[str, list[str]]:
    """The kinds of control that a context lacks, by its label; contexts that have both are not in.

    A control tells of its own network and data only.
    """
    kinds: dict[str, set[str]] = {}
    for question in questions:
        kinds.setdefault(question.cell.context.label, set()).add(question.control)
    found = {label: sorted(EXPECTED.keys() - have) for label, have in kinds.items()}
    return {label: lacking for label, lacking in found.items() if lacking}


def state(questions: Sequence[Question]) -> State:
    """How the controls came out together: the worst counts, and none may be missing."""
    states = {control.state for control in controls(questions)}
    if State.FAILS in states:
        return State.FAILS
    return State.HOLDS if states == {State.HOLDS} and not missing(questions) else State.OPEN


def sentences(questions: Sequence[Question]) -> list[str]:
    """What a reader must know of the controls before any verdict: a line each, worst first."""
    found = controls(questions)
    lines = []
    for wanted in (State.FAILS, State.OPEN):
        lines += [_sentence(control) for control in found if control.state is wanted]
    lines += _lacking(missing(questions), len({q.cell.context.label for q in questions}))
    return lines or [f"Controls as expected: {'; '.join(map(_in_short, found))}."]


def _in_short(control: Control) -> str:
    """A control that holds: what was done, and what came of it."""
    question = control.question
    effect = wording.points(question.judgement.paired.middle)
    return f"{question.cell.label}, {question.label} {effect} ({question.verdict})"


def _lacking(absent: Mapping[str, list[str]], contexts: int) -> list[str]:
    """One line for each set of kinds that is missing, with the contexts if there are several."""
    places: dict[tuple[str, ...], list[str]] = {}
    for label, kinds in absent.items():
        places.setdefault(tuple(kinds), []).append(label)
    listed = wording.listed
    return [
        f"No {listed(kinds)} control {f'of {listed(labels)} ' if contexts > 1 else ''}"
        f"among these runs: {'; '.join(EXPECTED[kind] for kind in kinds)}. sweep=battery has both."
        for kinds, labels in places.items()
    ]


def _sentence(control: Control) -> str:
    question, paired = control.question, control.question.judgement.paired
    where = f"{question.cell.label}, {question.label} ({question.cell.context.label})"
    effect = wording.points(paired.middle)
    if control.state is State.FAILS:
        return (
            f"The {control.kind} control FAILS: {where}: {question.verdict}, {effect} points, but "
            f"{EXPECTED[control.kind]}. Do not trust the verdicts below before this is understood."
        )
    found = f"{effect} points with {wording.count(paired.seeds, 'seed')}" if effect else "no seeds"
    if control.kind == "positive":
        return (
            f"The positive control is still open: {where}: {found}. Such an experiment might not "
            "see a dependence where there is one."
        )
    return f"The negative control is still open: {where}: {found}, {question.verdict}."
