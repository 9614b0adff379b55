"""What the stages of one run share: its parts, data, store, device and record."""

import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from sanity import identity
from sanity.archs.build import build
from sanity.archs.checkpoint import fit, load_state_dict
from sanity.checks.base import Check, Effect
from sanity.components import option_name
from sanity.errors import CheckError, SweepError, TrainingError
from sanity.parts import Parts
from sanity.record import Record
from sanity.stages.data import Data
from sanity.stages.network import Round
from sanity.store import Compute, Entry, Store, Work, key_of
from sanity.store.notes import Note
from sanity.streams import generator
from sanity.training.checkpoint import Checkpoints
from sanity.training.loop import Splits, train
from sanity.training.progress import Epoch

log = logging.getLogger(__name__)


class Reached(Exception):  # noqa: N818 - no error, but the end that was asked for
    """The stage that was to be the last is done."""


class Lab:
    """Passed from stage to stage; itself it only remembers."""

    def __init__(
        self,
        parts: Parts,
        store: Store,
        device: torch.device,
        record: Record,
        planned: Mapping[str, str] | None = None,
        last: str | None = None,
    ) -> None:
        """``planned`` are the stages' keys as a sweep expects them; ``last`` ends it early."""
        self.planned = planned or {}
        self.last = last
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

    def fetch(self, stage: str, name: str, settings: Mapping[str, Any], compute: Compute) -> Entry:
        """The stage's result from the store, computed where it is missing, noted in the record.

        ``name`` is the stage's name in this run, such as ``prune_2`` in IMP's second round.
        Raises SweepError where the stage is no longer the one that was planned, and Reached
        after the stage that was to be the last.
        """
        key = key_of(stage, settings)
        self._refuse_change(name, key)
        perturbed = any(settings.get(field) is not None for field in ("check", "data_check"))

        def begin(work: Work) -> dict[str, Any]:
            self.record.begin_stage(name, key, perturbed)
            before = identity.loaded()
            with identity.watched() as reads:
                facts = compute(work)
            self.parts.code.refuse_change(before, reads)
            places = (self.store.root, self.data.data_dir, self.record.directory)
            identity.tell_unknown(name, reads, self.parts.code, places)
            return facts

        if name not in self.planned:  # a sweep has noted what it planned
            Note(self.store.root, self.record.directory).add(stage, key)
        start = time.perf_counter()
        entry = self.store.fetch(stage, settings, begin)
        seconds = time.perf_counter() - start
        log.info("%-14s %s", name, f"reused {entry.key}" if entry.reused else f"{seconds:.1f} s")
        self.record.add_stage(name, entry, perturbed)
        if name == self.last:
            raise Reached(name)
        return entry

    def note_mask(self, pruned: Entry, turn: Round) -> None:
        """Note in the record what the mask keeps, before its ticket is trained."""
        parts, mask = self.parts, pruned.tensors("mask")
        # On the way to the last round's mask less is pruned.
        asked = None if parts.pruner.decides_sparsity or not turn.last else parts.ratio.sparsity
        ties = pruned.facts.get("ties")  # masks stored by earlier versions do not tell
        for remark in self.record.set_ticket(parts.blueprint, mask, asked, ties):
            log.warning("%s", remark)

    def _refuse_change(self, name: str, key: str) -> None:
        """A job that waited in a queue must not pass today's code for that of its submission."""
        if self.planned.get(name, key) != key:
            raise SweepError(
                f"{name}: what determines it (the data, or a file that is read) has changed since "
                "the sweep was planned: give the same command again, which plans it anew and uses "
                "what has not changed"
            )

    def initial_network(self) -> nn.Module:
        """The network as it is before any training, on the device: drawn, or read from a file."""
        network = build(self.parts.factory, generator(self.seed, "init"))
        if self.parts.init_from is not None:
            fit(network, load_state_dict(self.parts.init_from), self.parts.init_from)
        return network.to(self.device)

    def checkpoints(self, work: Work) -> Checkpoints:
        """The checkpoints of the training that a stage consists of."""
        return Checkpoints(work.checkpoints, self.parts.settings.checkpoint_every)

    def train(
        self,
        network: nn.Module,
        splits: Splits,
        name: str,
        checkpoints: Checkpoints,
        **how: Any,
    ) -> dict[str, Any]:
        """Train ``network`` by the run's recipe; the facts of the stage ``name``."""

        def note(epoch: Epoch) -> None:
            self.record.add_epoch(name, epoch.as_dict())

        how |= {"seed": self.seed, "label": name, "on_epoch": note, "checkpoints": checkpoints}
        wall, cpu = time.perf_counter(), time.process_time()
        try:
            epochs = train(network, splits, self.parts.recipe, **how)
        except TrainingError:
            checkpoints.clear()  # they may hold what is no number already
            raise
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        return {
            "epochs": [epoch.as_dict() for epoch in epochs],
            "workload": self.parts.workload,
            "effort": {
                "device": self.device.type,
                "threads": torch.get_num_threads(),
                "cpu_share": round(cpu / wall, 4),
            },
            **self.data.facts,
            "remarks": self.data.remarks,
        }


def happened(check: Check, effect: Effect) -> dict[str, Any]:
    """The effect as it is recorded; raises CheckError if the check changed nothing."""
    if effect.changed == 0:
        raise CheckError(
            f"sanity_check={option_name(check)}: it changed nothing ({dict(effect.counts)}), so "
            "its result would say nothing; choose another check or sparsity"
        )
    return dict(effect.counts)
