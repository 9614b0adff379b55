"""A stage of a run as a value: what determines it, what it needs, and how it is computed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sanity.core.errors import SweepError
from sanity.store import Entry, Work, key_of

if TYPE_CHECKING:
    from sanity.stages.context import Context

TRAIN_DENSE, PRUNE, REWIND, TRAIN_TICKET = "train_dense", "prune", "rewind", "train_ticket"
SNAPSHOT, DONOR = "snapshot", "prune_donor"
TRAINING = (TRAIN_DENSE, TRAIN_TICKET)
"""The kinds that cost time; the others are read or scored in seconds."""


def costs_like(kind: str, workload: str) -> str:
    """Names trainings whose epochs cost about the same: tickets' may be cheaper than dense ones."""
    return f"{kind} {workload}"


Inputs = Mapping[str, Entry]
"""The results a stage is computed from, by the part that each plays in it."""

Compute = Callable[["Context", Inputs, Work], dict[str, Any]]
"""Leaves files in ``work.directory``; returns the facts to be stored with them."""


@dataclass(frozen=True)
class StageId:
    """One stage of a run: its ``name`` there (prune_2), its ``kind`` (prune), its ``key``."""

    name: str
    kind: str
    key: str

    @property
    def trains(self) -> bool:
        """Whether it trains a network."""
        return self.kind in TRAINING


@dataclass(frozen=True, eq=False)
class Stage:
    """What is computed once and stored: ``settings`` are all that determines its result.

    The keys of its ``inputs`` are among them, so that its own key is known before anything is
    computed. ``perturbed``: the sanity check acts in it.
    """

    name: str
    kind: str
    settings: Mapping[str, Any]
    inputs: Mapping[str, "Stage"]
    compute: Compute
    perturbed: bool = False

    @cached_property
    def key(self) -> str:
        """Names its result in the store."""
        return key_of(self.kind, self.settings)

    @property
    def id(self) -> StageId:
        """What a plan remembers of it."""
        return StageId(self.name, self.kind, self.key)


@dataclass(frozen=True)
class Planned:
    """What a sweep expects of a run: its stages' ``keys`` by name, and which is the ``last``.

    The last stage changes nothing of what the run is, unlike ``until``; None for all of them.
    """

    keys: Mapping[str, str]
    last: str | None = None

    def of(self, chain: tuple[Stage, ...]) -> tuple[Stage, ...]:
        """The part of a run's ``chain`` that is asked for.

        Raises SweepError where a stage is no longer the one that was planned: a job that waited
        in a queue must not pass today's code for that of its submission.
        """
        names = [stage.name for stage in chain]
        part = chain if self.last is None else chain[: names.index(self.last) + 1]
        for stage in part:
            if self.keys.get(stage.name, stage.key) != stage.key:
                raise SweepError(
                    f"{stage.name}: what determines it (the data, or a file that is read) has "
                    "changed since the sweep was planned: give the same command again, which plans "
                    "it anew and uses what has not changed"
                )
        return part
