"""What the stages of one run are computed with: its experiment, data, store, device and record."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import nn

from sanity.checks.base import Check, Effect
from sanity.core.errors import CheckError, TrainingError
from sanity.core.streams import generator
from sanity.experiment.experiment import Experiment
from sanity.experiment.instantiate import option_name
from sanity.networks.build import build
from sanity.networks.checkpoint import initialise_from
from sanity.pruning.masks import Mask
from sanity.record.record import Record
from sanity.stages.data import Data
from sanity.stages.stage import Planned
from sanity.store import Entry, Store, Work
from sanity.training import engines
from sanity.training.checkpoint import Checkpoints
from sanity.training.engines.base import Engine
from sanity.training.loop import Splits, Training, Watcher, train
from sanity.training.mask_update import MaskUpdate
from sanity.training.progress import Epoch
from sanity.training.schedule import Schedule


@dataclass
class Context:
    """Shared by the stages of a run; ``results`` are those it has reached, by key.

    ``trainer`` is whoever trains a network when a stage asks for it.
    """

    experiment: Experiment
    store: Store
    device: torch.device
    record: Record
    planned: Planned | None = None
    results: dict[str, Entry] = field(default_factory=dict)
    trainer: Callable[[Training], list[Epoch]] = train

    @property
    def seed(self) -> int:
        return self.experiment.settings.seed

    @cached_property
    def data(self) -> Data:
        """The images; they are opened when they are first asked for."""
        experiment = self.experiment
        data_dir = Path(experiment.settings.data_dir)
        return Data(experiment.dataset, data_dir, self.seed, experiment.check, self.device)

    @property
    def computed_by(self) -> dict[str, Any]:
        """What computes results, as entries and records say it: the same up to rounding."""
        return {"device": self.device.type, "threads": torch.get_num_threads()}

    def initial_network(self) -> nn.Module:
        """The network as it is before any training, on the device: drawn, or read from a file."""
        network = build(self.experiment.factory, generator(self.seed, "init"))
        if self.experiment.init_from is not None:
            initialise_from(network, self.experiment.init_from)
        return network.to(self.device)

    def engine(self, network: nn.Module, mask: Mask | None = None, steps: int = 0) -> Engine:
        """What trains ``network`` for ``steps`` by the run's recipe, a ticket under its mask."""
        experiment = self.experiment
        return engines.choose(network, experiment.recipe, mask, experiment.input_shape, steps)

    def checkpoints(self, work: Work) -> Checkpoints:
        """The checkpoints of the training that a stage consists of."""
        return Checkpoints(work.checkpoints, self.experiment.settings.checkpoint_every)

    def train(
        self,
        name: str,
        engine: Engine,
        splits: Splits,
        schedule: Schedule,
        checkpoints: Checkpoints,
        on_weights: Callable[[int], None] = lambda epochs: None,
        update: MaskUpdate | None = None,
    ) -> dict[str, Any]:
        """Train a network as the stage ``name``; its facts."""
        watcher = Watcher(
            name, lambda epoch: self.record.add_epoch(name, epoch.as_dict()), on_weights
        )
        wall, cpu = time.perf_counter(), time.process_time()
        try:
            epochs = self.trainer(Training(engine, splits, schedule, checkpoints, watcher, update))
        except TrainingError:
            checkpoints.clear()  # they may hold what is no number already
            raise
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        return {
            "epochs": [epoch.as_dict() for epoch in epochs],
            "workload": self.experiment.workload,
            "computed_by": self.computed_by
            | {"engine": engine.name, "cpu_share": round(cpu / wall, 4)},
            **self.data.facts,
            "remarks": self.data.remarks,
        }


def effect_of(check: Check, effect: Effect) -> dict[str, Any]:
    """The effect as it is recorded; raises CheckError if the check changed nothing."""
    if effect.changed == 0:
        raise CheckError(
            f"sanity_check={option_name(check)}: it changed nothing ({dict(effect.counts)}), so "
            "its result would say nothing; choose another check or sparsity"
        )
    return dict(effect.counts)
