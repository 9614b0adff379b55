"""What the stages of one run share: its parts, data, store, device and record."""

import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from sanity.archs.build import build
from sanity.archs.checkpoint import fit, load_state_dict
from sanity.checks.base import Check, Effect
from sanity.components import option_name
from sanity.errors import CheckError
from sanity.parts import Parts
from sanity.record import Record
from sanity.stages.data import Data
from sanity.store import Entry, Store
from sanity.streams import generator
from sanity.training.loop import Epoch, Splits, train

log = logging.getLogger(__name__)


class Lab:
    """Passed from stage to stage; itself it only remembers."""

    def __init__(self, parts: Parts, store: Store, device: torch.device, record: Record) -> None:
        self.parts = parts
        self.store = store
        self.device = device
        self.record = record
        self.data = Data(
            parts.dataset, Path(parts.settings.data_dir), parts.settings.seed, parts.check, device
        )

    @property
    def seed(self) -> int:
        return self.parts.settings.seed

    def fetch(
        self,
        stage: str,
        name: str,
        settings: Mapping[str, Any],
        compute: Callable[[Path], dict[str, Any]],
    ) -> Entry:
        """The stage's result from the store, computed where it is missing, noted in the record.

        ``name`` is the stage's name in this run, such as ``prune_2`` in IMP's second round.
        """
        start = time.perf_counter()
        entry = self.store.fetch(stage, settings, compute)
        seconds = time.perf_counter() - start
        log.info("%-14s %s", name, f"reused {entry.key}" if entry.reused else f"{seconds:.1f} s")
        self.record.add_stage(name, entry)
        return entry

    def initial_network(self) -> nn.Module:
        """The network as it is before any training, on the device: drawn, or read from a file."""
        network = build(self.parts.factory, generator(self.seed, "init"))
        if self.parts.init_from is not None:
            fit(network, load_state_dict(self.parts.init_from), self.parts.init_from)
        return network.to(self.device)

    def train(
        self,
        network: nn.Module,
        splits: Splits,
        name: str,
        on_epoch: Callable[[Epoch], None] = lambda epoch: None,
        **how: Any,
    ) -> dict[str, Any]:
        """Train ``network`` by the run's recipe; the facts of the stage ``name``."""

        def note(epoch: Epoch) -> None:
            self.record.add_epoch(name, epoch.as_dict())
            on_epoch(epoch)

        epochs = train(
            network, splits, self.parts.recipe, seed=self.seed, label=name, on_epoch=note, **how
        )
        return {"epochs": [epoch.as_dict() for epoch in epochs]}


def happened(check: Check, effect: Effect) -> dict[str, Any]:
    """The effect as it is recorded; raises CheckError if the check changed nothing."""
    if effect.changed == 0:
        raise CheckError(
            f"sanity_check={option_name(check)}: it changed nothing ({dict(effect.counts)}), so "
            "its result would say nothing; choose another check or sparsity"
        )
    return dict(effect.counts)
