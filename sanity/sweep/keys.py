"""The stages a run goes through and their keys, found by following it without computing."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from sanity.parts import Parts
from sanity.pipeline import Outcome, follow
from sanity.stages.lab import Lab
from sanity.stages.network import Round
from sanity.store import Entry, key_of

TRAINING = ("train_dense", "train_ticket")
"""The stages that cost time; the others are read or scored in seconds."""


@dataclass(frozen=True)
class Stage:
    """One stage of a run: its name there (``prune_2``), what it is (``prune``), and its key."""

    name: str
    stage: str
    key: str

    @property
    def trains(self) -> bool:
        return self.stage in TRAINING


class _Outline(Lab):
    """A lab in which every stage is found at once, empty: what is left of it are the keys."""

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts, None, torch.device("cpu"), None)  # type: ignore[arg-type]
        self.stages: list[Stage] = []

    def fetch(
        self,
        stage: str,
        name: str,
        settings: Mapping[str, Any],
        compute: Callable[..., dict[str, Any]],
    ) -> Entry:
        """Note the stage; its facts are such that the run goes on to its end."""
        found = Stage(name, stage, key_of(stage, settings))
        self.stages.append(found)
        facts = {"empty": [], "dead": False}
        return Entry(stage, found.key, Path(), facts, seconds=0.0, reused=True)

    def note_mask(self, pruned: Entry, turn: Round) -> None:
        """There is no mask to look at."""


def stages_of(parts: Parts) -> tuple[Stage, ...]:
    """The stages of a run in order. They depend on settings alone, so nothing is computed."""
    outline = _Outline(parts)
    follow(outline, Outcome())
    return tuple(outline.stages)
