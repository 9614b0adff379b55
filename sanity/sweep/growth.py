"""Sweeps that grow: how far they may, and the looks that were taken so far (``looks.json``).

Such a sweep is planned as a whole, up to its last seed. Jobs are asked for look by look, and which
of them depends on what the looks before have decided.
"""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Ge
from omegaconf import DictConfig, OmegaConf

from sanity.core.config import conform
from sanity.core.errors import ConfigError, SweepError, as_line
from sanity.core.files import read_json, sweep_up, write_json
from sanity.stages.stage import TRAIN_TICKET
from sanity.stats.looks import FIRST, up_to
from sanity.store.notes import SWEEPS
from sanity.sweep.plan import Plan

NAME = "looks.json"
BUDGET = re.compile(r"(?:(\d+(?:\.\d+)?)d)?(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+)s)?")
LENGTHS = (86400.0, 3600.0, 60.0, 1.0)
SEEN = "tickets of this sweep had been trained before it was begun"
NOT_GROWING = "counts only where seeds are added, with verdict.until=decided"


@dataclass(frozen=True)
class Limits:
    """``sweep.most_seeds`` and ``sweep.budget``: the clock that a sweep may take, 2h or 1h30m.

    They can be changed at any time: no verdict depends on them.
    """

    most_seeds: Annotated[int, Ge(FIRST), "the seeds of the first look, or more"] = 60
    budget: str | float | None = None

    @property
    def seconds(self) -> float | None:
        """The budget in seconds; raises ConfigError for what is no time."""
        if self.budget is None:
            return None
        match = BUDGET.fullmatch(str(self.budget))
        parts = [float(part or 0) for part in match.groups()] if match else []
        seconds = sum(part * length for part, length in zip(parts, LENGTHS, strict=False))
        if not seconds:
            raise ConfigError(
                f"sweep.budget={as_line(str(self.budget))}: must be a time such as 90m, 2h or 1h30m"
            )
        return seconds


@dataclass(frozen=True)
class Look:
    """The ``jobs`` that were asked for, so that every open question has so many ``seeds``.

    ``seconds`` are those of the clock that they took so far; ``ended``: none is left to run.
    """

    seeds: int
    jobs: tuple[int, ...]
    seconds: float = 0.0
    ended: bool = False


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


def refuse_without_question(plan: Plan) -> None:
    """Raise ConfigError where nothing could ever be decided."""
    checked = any(job.choices["sanity_check"] != "none" for job in plan.jobs)
    pruners = {job.choices["pruner"] for job in plan.jobs} - {"dense"}
    if not checked and not ("random" in pruners and len(pruners) > 1):
        raise ConfigError(
            "verdict.until=decided: there is nothing to decide; a question takes "
            "sanity_check=none beside another, or pruner=random beside another"
        )


def read(directory: Path) -> tuple[Look, ...]:
    """The looks of a sweep so far; raises SweepError where they cannot be told."""
    path = directory / NAME
    try:
        return tuple(map(_look, read_json(path))) if path.exists() else ()
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise SweepError(f"{path}: is damaged ({as_line(str(error))})") from error


def write(directory: Path, looks: Sequence[Look]) -> None:
    """Note them; by who holds the sweep's lock."""
    sweep_up(directory / NAME)
    write_json(directory / NAME, [asdict(one) for one in looks])


def taken(seeds: Sequence[int], looks: Sequence[Look]) -> tuple[tuple[int, ...], ...]:
    """The seeds of every look that has ended, in order."""
    ended = [one.seeds for one in looks if one.ended]
    last = max(ended, default=0)
    return tuple(tuple(seeds[:count]) for count in up_to(last)) if last else ()


def seen(plan: Plan, store_dir: Path) -> bool:
    """Whether any of the plan's tickets was trained before, other than by a sweep that grows.

    Of one that does, the looks were the same ones.
    """
    tickets = {stage.key for job in plan.jobs for stage in job.stages if stage.kind == TRAIN_TICKET}
    stored = {key for key in tickets if (store_dir / TRAIN_TICKET / key / "manifest.json").exists()}
    if not stored:
        return False
    growing, fixed = set[str](), set[str]()
    for note in (store_dir / SWEEPS).glob("*.json"):
        content = _note(note)
        keys = {str(key) for kind, key in content.get("stages", ()) if kind == TRAIN_TICKET}
        (growing if content.get("grows") else fixed).update(keys)
    return bool(stored & fixed or stored - growing)


def _note(path: Path) -> dict[str, Any]:
    try:
        found = read_json(path)
        return found if isinstance(found, dict) else {}
    except (OSError, ValueError):
        return {}


def _look(values: dict[str, Any]) -> Look:
    seeds, seconds, ended = values["seeds"], values["seconds"], values["ended"]
    jobs = tuple(values["jobs"])
    kinds = type(seeds) is int and isinstance(seconds, int | float) and type(ended) is bool
    if not kinds or not all(type(one) is int for one in jobs) or not 0 <= seconds < float("inf"):
        raise ValueError("a look is none")
    return Look(seeds, jobs, float(seconds), ended)
