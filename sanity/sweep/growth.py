"""Sweeps that grow: how far they may, and the looks that were taken so far (``looks.json``).

Such a sweep is planned as a whole, up to its last seed. Jobs are asked for look by look, and which
of them depends on what the looks before have decided.
"""

import itertools
import operator
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Ge
from omegaconf import DictConfig, OmegaConf

from sanity.core.config import conform
from sanity.core.errors import ConfigError, SweepError, as_line
from sanity.core.files import read_json, sweep_up, write_json
from sanity.stages.stage import TRAIN_TICKET
from sanity.stats.looks import FIRST, seeds_at, up_to
from sanity.store.notes import SWEEPS
from sanity.sweep.plan import Plan

NAME = "looks.json"
BUDGET = re.compile(r"(?:(\d+(?:\.\d+)?)d)?(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+)s)?")
MOST = 10**9  # seeds
LENGTHS = (86400.0, 3600.0, 60.0, 1.0)
SEEN = "tickets of this sweep had been trained before it was begun"
NOT_GROWING = "counts only where seeds are added, with verdict.until=decided"


@dataclass(frozen=True)
class Limits:
    """``sweep.most_seeds`` and ``sweep.budget``: the clock that a sweep may take, 2h or 1h30m.

    They can be changed at any time: no verdict depends on them.
    """

    most_seeds: Annotated[int, Ge(FIRST), "the first look has as many"] = 60
    budget: str | int | float | None = None

    @property
    def seconds(self) -> float | None:
        """The budget in seconds; raises ConfigError for what is no time."""
        if self.budget is None:
            return None
        match = BUDGET.fullmatch(str(self.budget))
        parts = [float(part or 0) for part in match.groups()] if match else []
        seconds = sum(part * length for part, length in zip(parts, LENGTHS, strict=False))
        if not 0 < seconds < float("inf"):
            raise ConfigError(
                f"sweep.budget={as_line(str(self.budget))}: must be a time such as 90m, 2h or 1h30m"
            )
        return seconds


@dataclass(frozen=True)
class Look:
    """The ``jobs`` that were asked for, so that every open question has so many ``seeds``.

    ``asked`` is when, ``seconds`` are those of the clock that they took so far; ``ended``: none is
    left to run. ``failed`` are jobs of this look or earlier ones that had no result then. ``why``
    says why no look followed, where none did.
    """

    seeds: int
    jobs: tuple[int, ...]
    seconds: float = 0.0
    ended: bool = False
    asked: float = 0.0
    failed: tuple[int, ...] = ()
    why: str = ""


def limits(config: DictConfig) -> Limits:
    """Those of a configuration; raises ConfigError."""
    values = {name: OmegaConf.select(config, f"sweep.{name}") for name in Limits.__annotations__}
    given = {name: value for name, value in values.items() if value is not None}
    found = Limits(**conform("sweep", Limits, given))
    _ = found.seconds
    return found


def refuse_limits(config: DictConfig) -> None:
    """Raise ConfigError for limits of a sweep that does not grow."""
    if limits(config) != Limits():
        name = "most_seeds" if limits(config).most_seeds != Limits.most_seeds else "budget"
        raise ConfigError(f"sweep.{name}={config.sweep[name]}: {NOT_GROWING}")


def read(directory: Path) -> tuple[Look, ...]:
    """The looks of a sweep so far; raises SweepError where they cannot be told."""
    path = directory / NAME
    try:
        found = tuple(map(_look, read_json(path))) if path.exists() else ()
        if any(one.seeds >= other.seeds for one, other in itertools.pairwise(found)):
            raise ValueError("its looks are not in order")
        return found
    except (OSError, ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        raise SweepError(f"{path}: is damaged ({as_line(str(error))})") from error


def write(directory: Path, looks: Sequence[Look]) -> None:
    """Note them; by who holds the sweep's lock."""
    sweep_up(directory / NAME)
    write_json(directory / NAME, [asdict(one) for one in looks])


def taken(looks: Sequence[Look], seeds: Mapping[int, int]) -> tuple[tuple[int, ...], ...]:
    """The seeds that an arm had at every look that has ended, in order.

    ``seeds`` are those of its jobs, by number. It had those that were asked for until then, fewer
    than the look has where it was not to go on.
    """
    ended = [one for one in looks if one.ended]
    asked = {number: one.seeds for one in ended for number in one.jobs}
    for one in ended:  # what comes of a failed job later belongs to the look that follows
        following = next(count for count in seeds_at() if count > one.seeds)
        asked |= dict.fromkeys(one.failed, following)
    last = max((one.seeds for one in ended), default=0)
    return tuple(
        tuple(sorted(seed for number, seed in seeds.items() if asked.get(number, last + 1) <= look))
        for look in up_to(last)
    )


def seen(plan: Plan, store_dir: Path) -> bool:
    """Whether any of the plan's tickets was trained before, other than by a sweep that grows.

    Of one that does, with seeds in the same order, the looks were the same ones.
    """
    tickets = {stage.key for job in plan.jobs for stage in job.stages if stage.kind == TRAIN_TICKET}
    stored = {key for key in tickets if (store_dir / TRAIN_TICKET / key / "manifest.json").exists()}
    if not stored:
        return False
    growing, fixed = set[str](), set[str]()
    for note in (store_dir / SWEEPS).glob("*.json"):
        content = _note(note)
        seeds, stages = content.get("seeds") or (), content.get("stages") or ()
        keys = {str(key) for kind, key in stages if kind == TRAIN_TICKET}
        alike = bool(seeds) and all(map(operator.eq, seeds, plan.seeds))
        (growing if alike else fixed).update(keys)
    return bool(stored & fixed or stored - growing)


def _note(path: Path) -> dict[str, Any]:
    """What a note says; nothing where it is none."""
    try:
        found = read_json(path)
        _ = [(kind, key) for kind, key in found.get("stages") or ()], [*(found.get("seeds") or ())]
        return dict(found)
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return {}


def _look(values: dict[str, Any]) -> Look:
    seeds, ended, jobs = values["seeds"], values["ended"], tuple(values["jobs"])
    seconds, asked = (float(values[name]) for name in ("seconds", "asked"))
    kinds = type(seeds) is int and type(ended) is bool and all(type(one) is int for one in jobs)
    if not kinds or not all(0 <= clock < float("inf") for clock in (seconds, asked)):
        raise ValueError("a look is none")
    if not 0 < seeds < MOST or seeds not in up_to(seeds):
        raise ValueError(f"there is no look at {seeds} seeds")
    failed = tuple(values.get("failed", ()))
    if not all(type(one) is int for one in failed):
        raise ValueError("what has failed is no number")
    return Look(seeds, jobs, seconds, ended, asked, failed, as_line(str(values.get("why", ""))))
