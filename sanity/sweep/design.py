"""What a sweep asks and what it can decide, said before it is started."""

from collections import defaultdict
from collections.abc import Mapping

from sanity.core.errors import ConfigError
from sanity.stages.stage import TRAIN_TICKET
from sanity.stats.criteria import Criteria
from sanity.stats.forecast import POWER, discernible
from sanity.stats.looks import up_to
from sanity.stats.verdicts import FEWEST
from sanity.sweep.plan import Job, Plan

Cell = tuple[object, ...]


def sentences(plan: Plan) -> list[str]:
    """The looks of a sweep that grows, and the effects that its seeds can tell.

    None of a sweep that asks nothing, or whose jobs state several criteria.
    """
    family = questions(plan)
    if not family or plan.criteria is None:
        return []
    counts, said = [min(map(len, _seeds(plan).values()))], []
    if plan.seeds:
        first, *others = looks = up_to(len(plan.seeds))
        counts = [first, *others[-1:]]
        after = ", ".join(map(str, looks))
        said = [f"Until decided: looks after {after} seeds, for arms whose questions are open."]
    told = [_effects(one, plan.criteria, family) for one in counts if one >= FEWEST]
    spread = "A spread is the standard deviation of the differences between seeds."
    return [*said, *told, *([spread] if told else [])]


def questions(plan: Plan) -> int:
    """How many a method is asked at most: its checks, and whether a random ticket would do."""
    checks: dict[Cell, set[str]] = defaultdict(set)
    for job in _tickets(plan):
        checks[_cell(job)].add(job.choices["sanity_check"])
    found = {cell: names for cell, names in checks.items() if "none" in names}
    random = [cell for cell in found if cell[0] == "random"]
    return max((len(found[cell]) - 1 + _beside(cell, random) for cell in found), default=0)


def refuse_without_question(plan: Plan) -> None:
    """Raise ConfigError where nothing could ever be decided."""
    if plan.jobs and not _tickets(plan):
        raise ConfigError("verdict.until=decided: no job trains a ticket, whose accuracy decides")
    if not questions(plan):
        raise ConfigError(
            "verdict.until=decided: there is nothing to decide; a question takes "
            "sanity_check=none beside another, or pruner=random beside another"
        )


def _tickets(plan: Plan) -> list[Job]:
    return [job for job in plan.jobs if job.stages[-1].kind == TRAIN_TICKET]


def _cell(job: Job) -> Cell:
    names = ("pruner", "ratio", "rewind", "arch", "dataset")
    return (*(job.choices[name] for name in names), job.sparsity)


def _beside(cell: Cell, random: list[Cell]) -> bool:
    """Whether a random ticket stands beside a method."""
    return bool(random) and cell not in random


def _seeds(plan: Plan) -> Mapping[Cell, set[int]]:
    found: dict[Cell, set[int]] = defaultdict(set)
    for job in plan.jobs:
        found[_cell(job)].add(job.seed)
    return found


def _effects(seeds: int, criteria: Criteria, family: int) -> str:
    difference, margin = discernible(seeds, criteria, family)
    points = f"{criteria.margin:g} point{'' if criteria.margin == 1 else 's'}"
    asked = f"{family} question{'' if family == 1 else 's'} a method"
    return (
        f"{seeds} seeds ({asked}) tell a difference of {difference:.2g} spreads, and equality "
        f"within {points} at a spread of {criteria.margin / margin:.2g}, in {POWER:.0%} of cases."
    )
