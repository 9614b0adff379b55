"""What a report says in a sentence or two, made from its verdicts."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from sanity.report.data.questions import Question
from sanity.report.output import wording
from sanity.report.report import Report
from sanity.stats.verdicts import Verdict

SHOWN = 6  # contexts and sparsities that are spoken of
NAMED = 2  # open questions that are named one by one


def answers(report: Report) -> list[str]:
    """A paragraph a context and sparsity, controls aside."""
    if not report.questions:
        return ["Nothing was compared: a verdict needs a ticket as found and one under a check."]
    groups: dict[tuple[str, str], list[Question]] = {}
    for one in report.questions:
        if not one.control:
            place = (one.cell.context.label, wording.percent(one.cell.sparsity))
            groups.setdefault(place, []).append(one)
    if not groups:
        return ["Nothing but controls was compared."]
    sentences = _Sentences(wording.margin(report.criteria.margin), _names(report))
    found = [
        f"{sentences.subject(asked)} {sparsity} on {context}: {sentences.paragraph(asked)}"
        for (context, sparsity), asked in groups.items()
    ]
    more = len(found) - SHOWN
    return [*found[:SHOWN], *([f"And {more:,} more below."] if more > 0 else [])]


def _names(report: Report) -> dict[str, str]:
    """Methods by their labels, without the words that set one apart from a control only."""
    labels: dict[str, set[str]] = defaultdict(set)
    for cell in report.methods:
        labels[cell.choices["pruner"]].add(cell.method)
    return {ones.pop(): pruner for pruner, ones in labels.items() if len(ones) == 1}


def _is_better(question: Question) -> bool:
    return question.verdict is Verdict.DEPENDS and (question.judgement.effect or 0) > 0


def _is_worse(question: Question) -> bool:
    return question.verdict is Verdict.DEPENDS and (question.judgement.effect or 0) <= 0


def _is_same(question: Question) -> bool:
    return question.verdict is Verdict.INDEPENDENT


@dataclass(frozen=True)
class _Sentences:
    """Those of one report: its margin in words, and methods' names by their labels."""

    margin: str
    names: dict[str, str]

    def subject(self, asked: Sequence[Question]) -> str:
        """The method, if it is one."""
        methods = set(map(self._name, asked))
        return f"{methods.pop()} at" if len(methods) == 1 else "At"

    def paragraph(self, asked: Sequence[Question]) -> str:
        """Of a context and sparsity."""
        beside = [one for one in asked if one.check == wording.RANDOM_TICKET]
        checked = [one for one in asked if one.check != wording.RANDOM_TICKET]
        without = sum(one.verdict is Verdict.NONE for one in asked)
        kinds = dict.fromkeys(one.label for one in beside)
        parts = [
            *(self._random_tickets([one for one in beside if one.label == kind]) for kind in kinds),
            *self._checks(checked, alone=len({one.cell.method for one in asked}) == 1),
            self._open([one for one in asked if one.verdict is Verdict.UNDECIDED], len(asked)),
            f"no verdict: {wording.count(without, 'question')}" if without else "",
        ]
        return " ".join(f"{part[0].upper()}{part[1:]}." for part in parts if part)

    def _random_tickets(self, asked: Sequence[Question]) -> str:
        """Whether a random ticket would have done, by method."""
        parts = [
            f"{words} {self._methods(ones, by=by)}{end}"
            for words, is_of, by, end in (
                ("as well as", _is_same, False, f" (within {self.margin})"),
                ("better than", _is_better, True, ""),
                ("worse than", _is_worse, True, ""),
            )
            if (ones := [one for one in asked if is_of(one)])
        ]
        return f"{asked[0].label} does {wording.listed(parts)}" if parts else ""

    def _checks(self, asked: Sequence[Question], *, alone: bool) -> list[str]:
        """What is used, what is not, what harms, with the methods of each unless it is one."""
        kinds: list[tuple[str, Callable[[Question], bool], bool]] = [
            (f"not needed, within {self.margin}", _is_same, False),
            ("needed", _is_worse, True),
            ("better without", _is_better, True),
        ]
        said = []
        for words, is_of, by in kinds:
            uses: dict[str, list[Question]] = defaultdict(list)
            for one in filter(is_of, asked):
                uses[wording.uses(one.check)].append(one)
            listed = [
                f"{what}{_points(ones[0]) if by else ''}"
                if alone
                else f"{what} ({self._methods(ones, by=by)})"
                for what, ones in uses.items()
            ]
            said += [f"{words}: {'; '.join(listed)}"] if listed else []
        return said

    def _open(self, asked: Sequence[Question], total: int) -> str:
        """Which questions, or how many, and how large their effects can be."""
        if not asked:
            return ""
        if len(asked) <= NAMED:
            found = (f"{self._name(one)}, {one.label}{_bound([one])}" for one in asked)
            return f"still open: {'; '.join(found)}"
        number = "all" if len(asked) == total else f"{len(asked)} of {total}"
        given_up = [one for one in asked if one.judgement.paired.most and not one.judgement.is_open]
        without = f", {len(given_up)} of them given up" if given_up else ""
        return f"still open: {number} questions{_bound(asked)}{without}"

    def _methods(self, asked: Iterable[Question], *, by: bool) -> str:
        return wording.listed([f"{self._name(one)}{_by(one) if by else ''}" for one in asked])

    def _name(self, question: Question) -> str:
        return self.names.get(question.cell.method, question.cell.method)


def _by(question: Question) -> str:
    low, high = sorted(map(abs, _ends(question)))
    return f" by {low:.1f} to {high:.1f} points"


def _points(question: Question) -> str:
    low, high = sorted(_ends(question), key=abs)
    return f" ({wording.points(low)} to {wording.points(high)} points)"


def _ends(question: Question) -> tuple[float, float]:
    """The interval of an effect; an end beyond 0, which later seeds may have moved, is 0."""
    judgement = question.judgement
    sign = 1.0 if (judgement.effect or 0.0) > 0 else -1.0
    low, high = judgement.paired.interval or (0.0, 0.0)
    return sign * max(0.0, min(sign * low, sign * high)), sign * max(sign * low, sign * high)


def _bound(asked: Sequence[Question]) -> str:
    intervals = [one.judgement.paired.interval for one in asked]
    known = [max(map(abs, interval)) for interval in intervals if interval is not None]
    if not known or len(known) < len(asked):
        return ""
    most = math.ceil(10 * max(known)) / 10
    return f" ({'each ' if len(known) > 1 else ''}at most {most:.1f} points either way)"
