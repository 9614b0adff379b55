"""What a report says in a sentence or two, made from its verdicts."""

from collections.abc import Callable, Iterable, Sequence

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
    margin = wording.margin(report.criteria.margin)
    found = [
        f"At {sparsity} on {context}: {_paragraph(asked, margin)}"
        for (context, sparsity), asked in groups.items()
    ]
    more = len(found) - SHOWN
    return [*found[:SHOWN], *([f"And {more:,} more below."] if more > 0 else [])]


def _paragraph(asked: Sequence[Question], margin: str) -> str:
    beside = [one for one in asked if one.check == wording.RANDOM_TICKET]
    checked = [one for one in asked if one.check != wording.RANDOM_TICKET]
    parts = [_random_tickets(beside, margin), *_checks(checked, margin)]
    text = " ".join(f"{part[0].upper()}{part[1:]}." for part in parts if part)
    open_ones = [one for one in asked if one.verdict is Verdict.UNDECIDED]
    without = sum(one.verdict is Verdict.NONE for one in asked)
    if open_ones:
        text += f" Still open: {_open(open_ones, whole=len(open_ones) == len(asked))}."
    if without:
        text += f" No verdict: {wording.count(without, 'question')}."
    return text.strip()


def _random_tickets(asked: Sequence[Question], margin: str) -> str:
    """Whether a random ticket would have done, by method."""
    as_well = _methods(one for one in asked if one.verdict is Verdict.INDEPENDENT)
    better = _methods((one for one in asked if _is_better(one)), _by)
    worse = _methods((one for one in asked if _is_worse(one)), _by)
    parts = [f"as well as {as_well}, within {margin}"] if as_well else []
    parts += [f"better than {better}"] if better else []
    parts += [f"worse than {worse}"] if worse else []
    return f"a random ticket does {wording.listed(parts)}" if parts else ""


def _checks(asked: Sequence[Question], margin: str) -> list[str]:
    """What is used, what is not, what harms, with the methods of each."""
    kinds: list[tuple[str, Callable[[Question], bool], Callable[[Question], str]]] = [
        (f"not needed, within {margin}", lambda one: one.verdict is Verdict.INDEPENDENT, _nothing),
        ("needed", _is_worse, _by),
        ("better without", _is_better, _by),
    ]
    said = []
    for words, is_of, told in kinds:
        uses: dict[str, list[Question]] = {}
        for one in asked:
            if is_of(one):
                uses.setdefault(wording.uses(one.check), []).append(one)
        listed = [f"{what} ({_methods(ones, told)})" for what, ones in uses.items()]
        said += [f"{words}: {'; '.join(listed)}"] if listed else []
    return said


def _open(asked: Sequence[Question], *, whole: bool) -> str:
    """Which, or how many, and how large their effects can be."""
    if len(asked) <= NAMED:
        return "; ".join(f"{one.cell.method}, {one.label}{_bound([one])}" for one in asked)
    number = "all" if whole else str(len(asked))
    return f"{number} {'' if whole else 'other '}questions{_bound(asked)}"


def _bound(asked: Sequence[Question]) -> str:
    intervals = [one.judgement.paired.interval for one in asked]
    known = [max(map(abs, interval)) for interval in intervals if interval is not None]
    if not known or len(known) < len(asked):
        return ""
    return f" ({'each ' if len(known) > 1 else ''}at most {max(known):.1f} points either way)"


def _methods(asked: Iterable[Question], told: Callable[[Question], str] | None = None) -> str:
    return wording.listed([f"{one.cell.method}{told(one) if told else ''}" for one in asked])


def _nothing(question: Question) -> str:
    return ""


def _by(question: Question) -> str:
    return f" by {wording.points(abs(question.judgement.paired.mean or 0.0), sign=False)}"


def _is_better(question: Question) -> bool:
    return question.verdict is Verdict.DEPENDS and (question.judgement.paired.mean or 0) > 0


def _is_worse(question: Question) -> bool:
    return question.verdict is Verdict.DEPENDS and (question.judgement.paired.mean or 0) <= 0
