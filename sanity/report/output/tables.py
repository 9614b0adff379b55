"""The rows that terminal, Markdown and HTML print: words already, so that all say the same."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sanity.record import summary
from sanity.report.data import references
from sanity.report.data.cells import Arm, Cell
from sanity.report.data.controls import State
from sanity.report.data.questions import Question
from sanity.report.data.references import Reference
from sanity.report.data.runs import Absent
from sanity.report.output import wording
from sanity.report.report import Report
from sanity.stats.paired import deviation, mean
from sanity.stats.verdicts import Verdict
from sanity.sweep import show

SYMBOLS = {
    Verdict.DEPENDS: "▼",
    Verdict.INDEPENDENT: "=",
    Verdict.UNDECIDED: "?",
    Verdict.NONE: "–",
}


@dataclass(frozen=True)
class Answer:
    """A verdict in a few lines: the word, the effect with its interval, what is to be added."""

    verdict: Verdict
    symbol: str
    word: str
    effect: str
    note: str
    control: str = ""


@dataclass(frozen=True)
class Accuracy:
    """An arm in a table: mean ± std, n seeds, the best epoch's, and a published number."""

    last: str = ""
    seeds: int = 0
    best: str = ""
    reference: str = ""
    source: str = ""


@dataclass(frozen=True)
class Row:
    """A cell: what it is, its accuracies and its answers, by the label of the arm."""

    context: str
    method: str
    detail: str
    sparsity: str
    dense: Accuracy
    arms: dict[str, Accuracy] = field(default_factory=dict)
    answers: dict[str, Answer] = field(default_factory=dict)


def rows(report: Report) -> list[Row]:
    """A row a cell, in order."""
    return [
        Row(
            context=cell.context.label,
            method=cell.method,
            detail=cell.detail,
            sparsity=cell.size,
            dense=_dense(report, cell),
            arms={label: _accuracy(cell, arm) for label, arm in cell.arms.items()},
            answers={one.label: answer(one) for one in report.questions_of(cell)},
        )
        for cell in report.cells
    ]


def arms(report: Report) -> list[str]:
    """The labels of all arms, as found first, in the order of the chain."""
    found = {label: arm.check for cell in report.cells for label, arm in cell.arms.items()}
    return sorted(found, key=lambda label: wording.position(found[label]))


def answer(question: Question) -> Answer:
    """A question's answer in words."""
    paired = question.judgement.paired
    effect = f"{wording.points(paired.mean)} {wording.interval(paired.interval)}".strip()
    control = f"{question.control} control" if question.control else ""
    sign = symbol(question)
    return Answer(question.verdict, sign, word(question), effect, note(question), control)


def symbol(question: Question) -> str:
    """A sign that needs no colour; of a dependence, which way."""
    if question.verdict is Verdict.DEPENDS and (question.judgement.paired.mean or 0) > 0:
        return "▲"
    return SYMBOLS[question.verdict]


def word(question: Question) -> str:
    """The verdict; of a random ticket in the method's place, what that says of the method."""
    if question.check != wording.RANDOM_TICKET:
        return str(question.verdict)
    worse = (question.judgement.paired.mean or 0) < 0
    return {
        Verdict.DEPENDS: "no, it is worse" if worse else "yes, it is better",
        Verdict.INDEPENDENT: "yes, as well",
    }.get(question.verdict, str(question.verdict))


def note(question: Question) -> str:
    """What is to be added: the seeds that would decide, or what is peculiar."""
    return "; ".join(part for part in (_said(question), _unpaired(question)) if part)


def _said(question: Question) -> str:
    judgement = question.judgement
    if question.verdict is Verdict.DEPENDS and question.check == wording.RANDOM_TICKET:
        return judgement.why.removeprefix("better with the change").removeprefix(", ")
    if question.verdict is not Verdict.UNDECIDED or judgement.why:
        return judgement.why
    needed = judgement.seeds_needed
    return "more than 1,000 seeds" if needed is None else f"about {needed} seeds would decide"


def _unpaired(question: Question) -> str:
    """Seeds that only one of the arms has, which no comparison can use."""
    either = question.cell.accuracies.keys() | question.changed.accuracies
    both = question.judgement.paired.seeds
    return f"{both} of {len(either)} seeds have both arms" if 2 <= both < len(either) else ""


def statistics(question: Question) -> list[str]:
    """Everything that a verdict rests on: the row of the long table."""
    judgement, paired = question.judgement, question.judgement.paired
    return [
        question.cell.context.label,
        question.cell.label,
        question.label,
        str(paired.seeds),
        wording.points(paired.mean),
        wording.points(paired.std, sign=False),
        wording.interval(paired.interval),
        wording.probability(judgement.p_different),
        wording.probability(judgement.p_equivalent),
        word(question),
        note(question),
    ]


STATISTICS = (
    *("context", "method", "change", "seeds", "effect", "std", "interval"),
    *("p different", "p equivalent", "verdict", "note"),
)

CONTROLS = ("control", "context", "method", "change", "seeds", "effect", "verdict", "outcome")


def controls(report: Report) -> list[list[str]]:
    """The controls: what was expected, what came out."""
    found = []
    for control in report.controls:
        question, paired = control.question, control.question.judgement.paired
        effect = f"{wording.points(paired.mean)} {wording.interval(paired.interval)}".strip()
        outcome = control.state if control.state is not State.FAILS else "FAILS"
        where = [question.cell.context.label, question.cell.label, question.label]
        row = [control.kind, *where, str(paired.seeds), effect, str(question.verdict)]
        found.append([*row, str(outcome)])
    return found


def effects(report: Report) -> list[list[str]]:
    """What each check measurably changed: means over seeds of its own counts."""
    found = []
    for cell in report.cells:
        for arm in cell.arms.values():
            counted = _effect(arm)
            if counted:
                found.append([cell.context.label, cell.label, arm.label, counted])
    return found


ABSENT = ("run", "state", "why", "overrides")
NAMED = 3  # runs that a row of many names


def absent(report: Report) -> list[list[str]]:
    """The runs without a result, those that lack it for one reason in one row."""
    groups: dict[tuple[str, str], list[Absent]] = {}
    for one in report.absent:
        groups.setdefault((one.word, show.reason(one.why)), []).append(one)
    found = []
    for group in groups.values():
        names = [one.directory.name for one in group]
        more = len(group) - NAMED
        listed = [*names[:NAMED], *([f"{more:,} more"] if more > 0 else [])]
        shared = set.intersection(*({*one.command.split()} for one in group))
        command = " ".join(text for text in group[0].command.split() if text in shared)
        text = f"{len(group):,}: {wording.listed(listed)}" if len(group) > 1 else names[0]
        found.append([text, group[0].word, group[0].why, command])
    return found


def versions(report: Report) -> list[list[str]]:
    """Packages and their versions, several where runs differ."""
    names = dict.fromkeys(name for run in report.runs for name in run.versions)
    return [
        [name, wording.listed(sorted({run.versions.get(name, "none") for run in report.runs}))]
        for name in names
    ]


def _accuracy(cell: Cell, arm: Arm) -> Accuracy:
    best = wording.spread(mean(arm.best), deviation(arm.best))
    return _beside(arm.accuracies, references.of_arm(cell, arm.check), best)


def _dense(report: Report, cell: Cell) -> Accuracy:
    return _beside(cell.context.dense, report.dense_reference(cell.context))


def _beside(values: Mapping[int, float], found: Reference | None, best: str = "") -> Accuracy:
    """Accuracies by seed, beside a published one."""
    average = mean(values)
    if average is None:
        return Accuracy()
    reference, source = "", ""
    if found is not None:
        reference = f"{found.accuracy:.2f} ({wording.points(average - found.accuracy)})"
        source = f"{found.source}: {found.about}"
    last = wording.spread(average, deviation(values))
    return Accuracy(last, len(values), best, reference, source)


def _effect(arm: Arm) -> str:
    """ "1,293 of 1,437 labels changed": the counts of a check, averaged over seeds."""
    names = dict.fromkeys(name for run in arm.runs.values() for name in run.effect)
    found = {
        name: [run.effect[name] for run in arm.runs.values() if name in run.effect]
        for name in names
    }
    return summary.effect({name: sum(values) / len(values) for name, values in found.items()})
