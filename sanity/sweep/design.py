"""What a sweep can decide, said before it is started."""

from collections import defaultdict

from sanity.stats.criteria import Criteria
from sanity.stats.forecast import POWER, discernible
from sanity.stats.looks import up_to
from sanity.sweep.plan import Job, Plan

FEWEST = 2  # seeds for a test


def sentences(plan: Plan) -> list[str]:
    """The looks of a sweep that grows, and the effects that its seeds can tell; none without
    questions."""
    family = questions(plan)
    if not family or plan.criteria is None:
        return []
    criteria = plan.criteria
    if not plan.seeds:
        count = min(len(seeds) for seeds in _seeds(plan).values())
        return [_effects(count, criteria, family)] if count >= FEWEST else []
    *looks, last = up_to(len(plan.seeds))
    after = f"{', '.join(map(str, looks))} and {last}" if looks else str(last)
    said = (
        f"Until decided: looks after {after} seeds; arms go on while a question of theirs is open."
    )
    return [
        said,
        *(_effects(count, criteria, family) for count in dict.fromkeys((*looks[:1], last))),
    ]


def questions(plan: Plan) -> int:
    """How many a method is asked at most: its checks, and whether a random ticket would do."""
    checks: dict[tuple[object, ...], set[str]] = defaultdict(set)
    for job in plan.jobs:
        if job.choices["pruner"] != "dense":
            checks[_cell(job)].add(job.choices["sanity_check"])
    has_random = any(_is_random(job) for job in plan.jobs)
    counts = [0]
    for job in plan.jobs:
        asked = checks[_cell(job)]
        if "none" in asked:
            counts.append(len(asked) - 1 + (has_random and not _is_random(job)))
    return max(counts)


def _cell(job: Job) -> tuple[object, ...]:
    names = ("pruner", "ratio", "rewind", "arch", "dataset")
    return (*(job.choices[name] for name in names), job.sparsity)


def _is_random(job: Job) -> bool:
    return job.choices["pruner"] == "random"


def _seeds(plan: Plan) -> dict[tuple[object, ...], set[int]]:
    found: dict[tuple[object, ...], set[int]] = defaultdict(set)
    for job in plan.jobs:
        found[_cell(job)].add(job.seed)
    return found


def _effects(seeds: int, criteria: Criteria, family: int) -> str:
    difference, margin = discernible(seeds, criteria, family)
    asked = f"{family} question{'' if family == 1 else 's'} a method"
    return (
        f"With {seeds} seeds and {asked}, a difference is told from none ({POWER:.0%} of cases) if "
        f"it is {difference:.2g} times its spread between seeds, and none from one of "
        f"{criteria.margin:g} {'point' if criteria.margin == 1 else 'points'} if that spread is "
        f"below {criteria.margin / margin:.2g}."
    )
