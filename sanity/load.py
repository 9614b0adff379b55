"""A finished run, back in Python: its network, mask and record.

A record is data, which people pass on. So what one says is checked, and no code that it names is
run unless the caller has named it as well.
"""

import functools
import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from torch import nn

from sanity.core.errors import ConfigError, StoreError, as_line, one_line, reason
from sanity.experiment.instantiate import Values, build_network, conformed, is_dotted, network_of
from sanity.networks.build import skeleton
from sanity.pruning.masks import Mask
from sanity.pruning.ticket import expand
from sanity.record.reading import damaged, read
from sanity.stages.stage import TRAIN_TICKET
from sanity.store import Entry, Store, is_key


@dataclass(frozen=True)
class Ticket:
    """A trained ticket: ``network`` holds its final weights, pruned ones at 0."""

    network: nn.Module
    mask: Mask
    record: dict[str, Any]


def load(path: Path | str, own: str | Sequence[str] = ()) -> Ticket:
    """The ticket of the run whose ``record.json`` lies at ``path``.

    Its network must be of a class of this package, or of a module that ``own`` names, itself or by
    its package: ``load(path, own="my_net")`` imports ``my_net``, which must be on Python's path,
    and that runs it. Weights and mask are read from the record's store as tensors only.
    Raises StoreError where the record is damaged, of another version or names other code, where
    the run trained no ticket, or where the store no longer has it.
    """
    path = Path(path)
    record = _read(path)
    store = Store(Path(record["config"]["store_dir"]))
    trained = _trained(path, store, record["stages"])
    try:
        weights, mask = expand(trained.tensors("final"))
        if not mask:
            raise ValueError("it has no mask")
    except (KeyError, TypeError, ValueError, RuntimeError, OSError, SafetensorError) as error:
        raise StoreError(
            f"{trained.path}: holds no ticket of {path} ({one_line(error)})"
        ) from error
    trusted = ("sanity", *([own] if isinstance(own, str) else own))
    network = _network(path, record["config"]["arch"], trusted, weights)
    return Ticket(network, mask, record)


def _read(path: Path) -> dict[str, Any]:
    """A record of which everything is there that is needed here."""
    record = read(path)
    config, stages = record.get("config"), record.get("stages")
    arch = config.get("arch") if isinstance(config, dict) else None
    for name, value in {"config": config, "stages": stages, "config.arch": arch}.items():
        if not isinstance(value, dict):
            raise damaged(path, f"{name} is {value}")
    if not isinstance(record["config"].get("store_dir"), str):
        raise damaged(path, f"config.store_dir is {record['config'].get('store_dir')}")
    return record


def _trained(path: Path, store: Store, stages: dict[str, Any]) -> Entry:
    """The trained ticket in the store."""
    if TRAIN_TICKET not in stages:
        raise StoreError(f"the run has no stage {TRAIN_TICKET}: its pruner or until left it out")
    stage = stages[TRAIN_TICKET]
    key = stage.get("key") if isinstance(stage, dict) else None
    if not isinstance(key, str) or not is_key(key):
        raise damaged(path, f"the key of its stage {TRAIN_TICKET} is {key}")
    try:
        entry = store.get(TRAIN_TICKET, key)
    except OSError as error:  # of a directory with a name that no directory can have
        raise damaged(path, f"config.store_dir is {store.root}: {reason(error)}") from error
    if entry is None:
        missing = as_line(str(store.root / TRAIN_TICKET / key))
        raise StoreError(f"{missing}: missing; the same command computes it anew")
    return entry


def _network(
    path: Path, arch: Values, trusted: Sequence[str], weights: dict[str, Any]
) -> nn.Module:
    """The record's network with these weights; only if it fits them does it cost memory."""
    target = arch.get("_target_")
    if not isinstance(target, str) or not is_dotted(target):
        raise damaged(path, f"config.arch._target_ is {target}")
    module = target.rpartition(".")[0]
    if not any(f"{module}.".startswith(f"{name}.") for name in trusted):
        raise StoreError(
            f"{path}: its network is {as_line(target)}, which is not of this package; if you know "
            "that code and trust it, name its module: load(path, own=...)"
        )
    if not module.startswith("sanity."):
        _refuse_unimportable(path, target)
    ours = ("init_from", "weights") if module.startswith("sanity.") else ("init_from",)
    values = {name: value for name, value in arch.items() if name not in ours}
    try:
        values = conformed("arch", values, network_of(values))
        factory = functools.partial(build_network, values)
        wanted = {name: tensor.shape for name, tensor in skeleton(factory).state_dict().items()}
        if wanted != {name: tensor.shape for name, tensor in weights.items()}:
            raise damaged(path, "config.arch is not the network of which the store has weights")
        network: nn.Module = factory()
        network.load_state_dict(weights)
    except (ConfigError, RuntimeError, AttributeError) as error:
        raise damaged(path, one_line(error)) from error
    return network


def _refuse_unimportable(path: Path, target: str) -> None:
    """Raise StoreError where the caller's own code, not the record, is what keeps it unread."""
    module, _, name = target.rpartition(".")
    try:
        found = hasattr(importlib.import_module(module), name)
    except (Exception, SystemExit) as error:  # another's module may fail in any way
        raise StoreError(
            f"{path}: its network is {target}, and importing {module} failed ({one_line(error)}); "
            "the directory of that module must be on Python's path (sys.path, PYTHONPATH)"
        ) from error
    if not found:
        raise StoreError(f"{path}: its network is {target}, but {module} has no {name} any more")
