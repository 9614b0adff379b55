"""The rows that terminal, Markdown and HTML print: words already, so that all say the same."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from sanity.record import summary
from sanity.report.data import references, runs
from sanity.report.data.cells import Arm, Cell
from sanity.report.data.controls import State
from sanity.report.data.questions import Question
from sanity.report.data.references import Reference
from sanity.report.data.runs import Absent
from sanity.report.output import wording
from sanity.report.report import Report
from sanity.stats.paired import deviation, mean
from sanity.stats.verdicts import Judgement, Verdict
from sanity.sweep import show

SYMBOLS = {
    Verdict.DEPENDS: "▼",
    Verdict.INDEPENDENT: "=",
    Verdict.UNDECIDED: "?",
    Verdict.NONE: "–",
}

Table = list[dict[str, str]]
"""Rows by the names of their columns."""


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
    """A cell with its accuracies, by the label of the arm."""

    cell: Cell
    dense: Accuracy
    arms: dict[str, Accuracy]


def rows(report: Report) -> list[Row]:
    """A row a cell, in order."""
    return [
        Row(
            cell=cell,
            dense=_beside(cell.context.dense, {}, references.of_dense(cell)),
            arms={
                label: _beside(arm.accuracies, arm.best, references.of_arm(cell, arm))
                for label, arm in cell.arms.items()
            },
        )
        for cell in report.cells
    ]


def resolutions(report: Report) -> list[str]:
    """How many test images each data set has, and what one of them is in points."""
    found = {
        cell.context.dataset: cell.any_run.guessing.images
        for cell in report.cells
        if cell.any_run.guessing is not None and cell.any_run.guessing.images
    }
    several = len(found) > 1
    return [
        f"{f'{name}: ' if several else ''}{images:,} test images, one is {100 / images:.2g} points"
        for name, images in found.items()
    ]


def symbol(question: Question) -> str:
    """A sign that needs no colour; of a dependence, which way."""
    if question.verdict is Verdict.DEPENDS and (question.judgement.effect or 0) > 0:
        return "▲"
    return SYMBOLS[question.verdict]


def word(question: Question) -> str:
    """The verdict; of a random ticket in the method's place, what that says of the method."""
    if question.check != wording.RANDOM_TICKET:
        return str(question.verdict)
    worse = (question.judgement.effect or 0) < 0
    return {
        Verdict.DEPENDS: "no, it is worse" if worse else "yes, it is better",
        Verdict.INDEPENDENT: "yes, as well",
    }.get(question.verdict, str(question.verdict))


def note(question: Question) -> str:
    """What is to be added: the seeds that would decide, or what is peculiar."""
    # Seeds that only one of the arms has can be used by no comparison.
    either = question.cell.accuracies.keys() | question.changed.accuracies
    both = question.judgement.paired.seeds
    lacking = 2 <= both < len(either) and question.judgement.paired.most is None
    unpaired = f"{both} of {len(either)} seeds have both arms" if lacking else ""
    return "; ".join(filter(None, (_said(question), unpaired)))


def _said(question: Question) -> str:
    judgement = question.judgement
    if judgement.is_decided and judgement.paired.most is not None:
        when = f"after {wording.count(judgement.seeds, 'seed')}"
        return "; ".join(filter(None, (when, _peculiar(question))))
    if question.verdict is not Verdict.UNDECIDED or judgement.why:
        return _peculiar(question)
    given_up = "given up" if judgement.paired.most is not None and not judgement.is_open else ""
    return "; ".join(filter(None, (given_up, _leaning(judgement), wording.forecast(judgement))))


def _peculiar(question: Question) -> str:
    """Why there is no verdict, or what a reader of this one might not think of."""
    judgement = question.judgement
    if question.verdict is Verdict.DEPENDS and question.check == wording.RANDOM_TICKET:
        return judgement.why.removeprefix("better with the change").removeprefix(", ")
    return judgement.why


def _leaning(judgement: Judgement) -> str:
    """What an open question would be by itself."""
    paired = judgement.paired
    if paired.interval is None or paired.narrow is None or judgement.family < 2:
        return ""
    uncorrected = f"before correction for {judgement.family} questions"
    if min(paired.interval) > 0 or max(paired.interval) < 0:
        return f"clear of 0 {uncorrected}"
    within = max(map(abs, paired.narrow)) < judgement.criteria.margin
    return f"within the margin {uncorrected}" if within else ""


def statistics(report: Report) -> Table:
    """Everything that the verdicts rest on: a row a question."""
    return [
        {
            **_place(one.cell, "change", one.label),
            "seeds": str(one.judgement.paired.seeds),
            "effect": wording.points(one.judgement.paired.middle),
            "std": wording.points(one.judgement.paired.std, sign=False),
            "interval": wording.interval(one.judgement.paired.interval),
            "p different": wording.probability(one.judgement.p_different),
            "p equivalent": wording.probability(one.judgement.p_equivalent),
            "verdict": word(one),
            "note": note(one),
        }
        for one in report.questions
    ]


def controls(report: Report) -> Table:
    """The controls: what was expected, what came out."""
    return [
        {
            "control": control.kind,
            **_place(control.question.cell, "change", control.question.label),
            "seeds": str(control.question.judgement.paired.seeds),
            "effect": wording.effect(control.question.judgement.paired),
            "verdict": str(control.question.verdict),
            "outcome": "FAILS" if control.state is State.FAILS else str(control.state),
        }
        for control in report.controls
    ]


def effects(report: Report) -> Table:
    """What each check measurably changed: means over seeds of its own counts."""
    return [
        {**_place(cell, "check", arm.label), "changed": counted}
        for cell in report.cells
        for arm in cell.arms.values()
        if (counted := _effect(arm))
    ]


def _place(cell: Cell, what: str, label: str) -> dict[str, str]:
    """Where a row belongs; ``what`` heads the arm."""
    return {"context": cell.context.label, "method": cell.label, what: label}


NAMED = 3  # runs that a row of many names


def absent(report: Report) -> Table:
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
        first = group[0]
        found.append({"run": text, "state": first.word, "why": first.why, "overrides": command})
    return found


def versions(report: Report) -> Table:
    """Packages and their versions, several where runs differ."""
    found = runs.versions(report.runs)
    return [{"package": name, "version": wording.listed(ones)} for name, ones in found.items()]


def _beside(
    values: Mapping[int, float], best: Mapping[int, float], found: Reference | None
) -> Accuracy:
    """Accuracies by seed, of the last epoch and the best, beside a published one."""
    average = mean(values)
    if average is None:
        return Accuracy()
    reference, source = "", ""
    if found is not None:
        reference = f"{found.accuracy:.2f} ({wording.points(average - found.accuracy)})"
        source = f"{found.source}: {found.about}"
    texts = [wording.spread(mean(ones), deviation(ones)) for ones in (values, best)]
    return Accuracy(texts[0], len(values), texts[1], reference, source)


def _effect(arm: Arm) -> str:
    """ "1,293 of 1,437 labels changed": the counts of a check, averaged over seeds."""
    found: dict[str, list[float]] = defaultdict(list)
    for run in arm.runs.values():
        for name, count in run.effect.items():
            found[name].append(count)
    return summary.effect({name: sum(values) / len(values) for name, values in found.items()})
