"""From tests to words: depends, does not depend, undecided."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property

from sanity.stats.criteria import Criteria
from sanity.stats.forecast import Forecast, forecast
from sanity.stats.paired import Look, Paired

DEFAULT = Criteria()
HOPELESS = 0.1  # chance of a verdict with all seeds that are allowed: below, it is given up
FEWEST = 2  # seeds for a test
PATIENT = 9  # seeds before which nothing is given up


class Verdict(StrEnum):
    """What can be said of a method and a check."""

    DEPENDS = "depends"
    INDEPENDENT = "does not depend"
    UNDECIDED = "undecided"
    NONE = "no verdict"


@dataclass(frozen=True)
class Judgement:
    """A verdict and what it rests on; p-values here are corrected for the family's size.

    ``why`` says why there is no verdict, or what is peculiar about it. ``seeds`` are those after
    which it was decided, or as many as were judged, and ``effect`` is the mean of these. ``level``
    is the strictest of Holm's steps, alpha by the size of the family, and ``step`` the one that is
    left if no other question of the family is decided any more.
    """

    verdict: Verdict
    paired: Paired
    p_different: float | None = None
    p_equivalent: float | None = None
    why: str = ""
    seeds: int = 0
    effect: float | None = None
    level: float = 0.05
    step: float = 0.05
    criteria: Criteria = DEFAULT

    @property
    def is_decided(self) -> bool:
        """Whether more seeds would change nothing."""
        return self.verdict in (Verdict.DEPENDS, Verdict.INDEPENDENT)

    @property
    def family(self) -> int:
        """How many questions are corrected for together."""
        return round(self.criteria.alpha / (self.level * self.paired.price))

    @property
    def is_open(self) -> bool:
        """Whether more seeds are allowed and have a chance to decide.

        Not where no verdict is possible at all, nor where it has become too unlikely.
        """
        paired = self.paired
        if self.verdict is not Verdict.UNDECIDED or paired.most is None:
            return False
        if paired.seeds < PATIENT:
            return True
        ahead = forecast(paired, self.criteria, self.step)
        return ahead is not None and ahead.chance >= HOPELESS

    @cached_property
    def forecast(self) -> Forecast | None:
        """Of a verdict, should no other check be decided any more; None where it is too early."""
        if self.verdict is not Verdict.UNDECIDED or self.why:
            return None
        return forecast(self.paired, self.criteria, self.step)


def judge(family: Sequence[Paired], criteria: Criteria) -> list[Judgement]:
    """A judgement of each comparison, corrected for all of them (Holm 1979, each test by itself).

    An effect shown to be smaller than the margin is none that matters, be it significant or not;
    otherwise a significant one is a dependence. In an experiment that grows, the first look that
    decides counts: later ones leave a verdict as it is. There the family has its size from the
    first look on, be its questions tested yet or not.
    """
    counted = [paired for paired in family if paired.looks or criteria.grows]
    level = criteria.alpha / max(1, len(counted))
    found: dict[int, Judgement] = {}
    for number in sorted({look.number for paired in counted for look in paired.looks}):
        now = [paired.at(number) for paired in counted]
        different = _holm([None if look is None else look.p_different for look in now])
        equivalent = _holm([None if look is None else look.p_equivalent for look in now])
        for index, (paired, look) in enumerate(zip(counted, now, strict=True)):
            if look is not None and not (index in found and found[index].is_decided):
                strictest = level / paired.price
                found[index] = _decide(
                    paired, look, different[index], equivalent[index], strictest, criteria
                )
    undecided = max(1, len(counted) - sum(one.is_decided for one in found.values()))
    judged = {
        id(counted[index]): replace(one, step=one.level * len(counted) / undecided)
        for index, one in found.items()
    }
    return [judged.get(id(paired)) or _without_test(paired, criteria) for paired in family]


def _decide(
    paired: Paired,
    look: Look,
    p_different: float,
    p_equivalent: float,
    level: float,
    criteria: Criteria,
) -> Judgement:
    different, equivalent = (p <= criteria.alpha for p in (p_different, p_equivalent))
    verdict, why = Verdict.UNDECIDED, ""
    if equivalent:
        verdict = Verdict.INDEPENDENT
        why = "a difference, but smaller than the margin" if different else ""
    elif different:
        verdict = Verdict.DEPENDS
        # What a reader of "depends" might not think of.
        better = ["better with the change"] if sum(look.interval) > 0 else []
        nearest = min(map(abs, look.interval))
        small = ["may be smaller than the margin"] if nearest < criteria.margin else []
        why = ", ".join(better + small)
    return Judgement(
        verdict,
        paired,
        p_different,
        p_equivalent,
        why,
        seeds=look.seeds,
        effect=sum(look.interval) / 2,
        level=level,
        step=level,
        criteria=criteria,
    )


def _without_test(paired: Paired, criteria: Criteria) -> Judgement:
    verdict = Verdict.UNDECIDED
    if paired.seeds < FEWEST:
        verdict = Verdict.NONE
        counted = {0: "no seed has", 1: "1 seed has"}[paired.seeds]
        why = f"{counted} both arms; a verdict needs at least {FEWEST}"
    elif paired.is_spread:
        why = f"of {paired.seeds} seeds, no look is complete yet, or none could be tested"
    else:
        why = f"all {paired.seeds} differences are equal, which leaves no spread to test against"
    return Judgement(verdict, paired, why=why, effect=paired.mean, criteria=criteria)


def _holm(values: Sequence[float | None]) -> list[float]:
    """Holm's step-down correction.

    The same as statsmodels' ``multipletests``, which collects all of Python's garbage at every
    call: a fifth of a second, twice a cell.
    """
    known = [1.0 if value is None else value for value in values]
    corrected, largest = [0.0] * len(known), 0.0
    for rank, index in enumerate(sorted(range(len(known)), key=known.__getitem__)):
        largest = max(largest, (len(known) - rank) * known[index])
        corrected[index] = min(1.0, largest)
    return corrected
