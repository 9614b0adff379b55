"""From tests to words: depends, does not depend, undecided."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from sanity.stats.criteria import Criteria
from sanity.stats.paired import Paired
from sanity.stats.power import seeds_to_decide


class Verdict(StrEnum):
    """What can be said of a method and a check."""

    DEPENDS = "depends"
    INDEPENDENT = "does not depend"
    UNDECIDED = "undecided"
    NONE = "no verdict"


@dataclass(frozen=True)
class Judgement:
    """A verdict and what it rests on; p-values here are corrected for the family's size.

    ``why`` says why there is no verdict, or what is peculiar about it. ``level`` is the strictest
    of Holm's steps, alpha by the size of the family, and ``margin`` that of the criteria.
    """

    verdict: Verdict
    paired: Paired
    p_different: float | None = None
    p_equivalent: float | None = None
    why: str = ""
    level: float = 0.05
    margin: float = 0.5

    @cached_property
    def seeds_needed(self) -> int | None:
        """How many seeds would probably decide, whatever the other checks turn out to be.

        None where this is decided, cannot be tested, or takes more seeds than anyone trains.
        """
        mean, std = self.paired.mean, self.paired.std
        if self.verdict is not Verdict.UNDECIDED or mean is None or not std or self.why:
            return None
        needed = seeds_to_decide(mean, std, self.level, self.margin)
        return None if needed is None else max(needed, self.paired.seeds + 1)


def judge(family: Sequence[Paired], criteria: Criteria) -> list[Judgement]:
    """A judgement of each comparison, corrected for all of them (Holm 1979, each test by itself).

    An effect shown to be smaller than the margin is none that matters, be it significant or not;
    otherwise a significant one is a dependence.
    """
    tested = [paired for paired in family if paired.tested]
    different = iter(_holm([paired.p_different for paired in tested]))
    equivalent = iter(_holm([paired.p_equivalent for paired in tested]))
    return [
        _decide(paired, next(different), next(equivalent), len(tested), criteria)
        if paired.tested
        else _without_test(paired)
        for paired in family
    ]


def _decide(
    paired: Paired, p_different: float, p_equivalent: float, size: int, criteria: Criteria
) -> Judgement:
    different, equivalent = (p <= criteria.alpha for p in (p_different, p_equivalent))
    verdict, why = Verdict.UNDECIDED, ""
    if equivalent:
        verdict = Verdict.INDEPENDENT
        why = "a difference, but smaller than the margin" if different else ""
    elif different:
        verdict = Verdict.DEPENDS
        # What a reader of "depends" might not think of.
        better = ["better with the change"] if (paired.mean or 0) > 0 else []
        nearest = min(map(abs, paired.interval or (0.0,)))
        small = ["may be smaller than the margin"] if nearest < criteria.margin else []
        why = ", ".join(better + small)
    return Judgement(
        verdict,
        paired,
        p_different,
        p_equivalent,
        why,
        level=criteria.alpha / size,
        margin=criteria.margin,
    )


def _without_test(paired: Paired) -> Judgement:
    if paired.seeds < 2:
        counted = {0: "no seed has", 1: "1 seed has"}[paired.seeds]
        why = f"{counted} both arms; a verdict needs at least 2"
        return Judgement(Verdict.NONE, paired, why=why)
    why = f"all {paired.seeds} differences are equal, which leaves no spread to test against"
    return Judgement(Verdict.UNDECIDED, paired, why=why)


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
