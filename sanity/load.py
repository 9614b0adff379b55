"""A finished run, back in Python: its network, mask and record."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from torch import nn

from sanity.components import build, plain
from sanity.errors import StoreError
from sanity.masks import Mask
from sanity.store import Entry, Store
from sanity.ticket import expand


@dataclass(frozen=True)
class Ticket:
    """A trained ticket: ``network`` holds its final weights, pruned ones at 0."""

    network: nn.Module
    mask: Mask
    record: dict[str, Any]


def load(path: Path | str) -> Ticket:
    """The ticket of the run whose ``record.json`` lies at ``path``.

    Raises StoreError where the run trained none, or where the store no longer has it.
    """
    record = json.loads(Path(path).read_text(encoding="utf-8"))
    store = Store(Path(record["config"]["store_dir"]))
    mask = _entry(store, record, "prune").tensors("mask")
    weights = expand(_entry(store, record, "train_ticket").tensors("final"), mask)
    arch = plain(DictConfig(record["config"]), "arch")
    arch.pop("init_from", None)
    network = build("arch", arch)
    network.load_state_dict(weights)
    return Ticket(network, mask, record)


def _entry(store: Store, record: dict[str, Any], stage: str) -> Entry:
    if stage not in record["stages"]:
        raise StoreError(f"the run has no stage {stage}: its pruner or until left it out")
    key = record["stages"][stage]["key"]
    entry = store.get(stage, key)
    if entry is None:
        raise StoreError(f"{store.root / stage / key}: missing; the same command computes it anew")
    return entry
