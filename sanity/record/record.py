"""``record.json`` and ``metrics.jsonl``: what a run did, for trackers and reports to read."""

import hashlib
import json
import logging
import math
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from filelock import Timeout

from sanity import __version__
from sanity.core import locks, sharing
from sanity.core.errors import StoreError, reason
from sanity.core.files import sweep_up, write_json
from sanity.networks.layers import Blueprint
from sanity.pruning.masks import Mask, kept
from sanity.record import remarks
from sanity.store import Entry

log = logging.getLogger(__name__)

SCHEMA = 2
LOCK = ".lock"
PATIENCE = 2  # seconds; who asks whether a run is at work holds its lock for less
OF_THE_DATA = ("overlap", "test_images", "largest_class")
PACKAGES = ("torch", "torchvision", "hydra-core", "omegaconf", "safetensors", "numpy")


class Listener(Protocol):
    """Who is told what a record is told, as it happens; none of it may raise or take time."""

    def begin(self, content: dict[str, Any], stage: str, key: str, perturbed: bool) -> None:
        """A stage is about to be computed."""

    def epoch(self, stage: str, figures: dict[str, Any]) -> None:
        """An epoch has ended, or is told again: after a checkpoint, or of a reused stage."""

    def stage(self, content: dict[str, Any], stage: str) -> None:
        """A stage has its result, computed or reused."""

    def end(self, content: dict[str, Any]) -> None:
        """The run has ended; ``content`` is what its record says."""


class Record:
    """Gathers a run's facts and writes ``record.json`` once, when the run has ended."""

    def __init__(
        self,
        directory: Path,
        config: dict[str, Any],
        choices: dict[str, str],
        sweep: str | None = None,
    ) -> None:
        """``sweep`` names the sweep that the run is a part of, if it is one of several."""
        self.directory = directory
        self.path = directory / "record.json"
        self.listener: Listener | None = None
        self.results: list[tuple[str, str]] = []
        self._metrics = directory / "metrics.jsonl"
        self.content: dict[str, Any] = {
            "schema": SCHEMA,
            "status": "running",
            "seed": config.get("seed"),
            "choices": choices,
            **({} if sweep is None else {"sweep": sweep}),
            "config": config,
            "stages": {},
            "ticket": None,
            "check": None,
            "metrics": {},
            "versions": versions(),
        }
        # A run that is started again in its directory (a requeued job) tells its story anew.
        self._metrics.unlink(missing_ok=True)
        sweep_up(self.path)

    def begin_stage(self, name: str, key: str, perturbed: bool) -> None:
        """A stage is about to be computed; ``perturbed``: by the sanity check."""
        if self.listener:
            self.listener.begin(self.content, name, key, perturbed)

    def add_stage(self, name: str, entry: Entry, perturbed: bool) -> None:
        """Note a stage; the epochs of a reused one are copied to ``metrics.jsonl``.

        Of one that is asked for twice (the snapshot, in IMP's rounds) the first time counts.
        """
        if name in self.content["stages"]:
            return
        self.results.append((entry.stage, entry.key))
        self.content["stages"][name] = {
            "key": entry.key,
            "reused": entry.reused,
            "seconds": round(entry.seconds, 3),
            "computed_by": entry.facts["computed_by"],
            **({"perturbed": True} if perturbed else {}),
        }
        if entry.reused:
            for epoch in entry.facts.get("epochs", []):
                self.add_epoch(name, epoch)
        if self.listener:
            self.listener.stage(self.content, name)

    def add_epoch(self, stage: str, figures: dict[str, Any]) -> None:
        """Append an epoch's figures to ``metrics.jsonl``, where they can be watched live."""
        with self._writing(), sharing.append(self._metrics) as file:
            file.write(json.dumps({"stage": stage, **figures}) + "\n")
        if self.listener:
            self.listener.epoch(stage, figures)

    def set_ticket(
        self,
        blueprint: Blueprint,
        mask: Mask,
        asked: float | None = None,
        ties: dict[str, Any] | None = None,
        footprint: dict[str, int | None] | None = None,
        *,
        is_moved: bool = False,
    ) -> list[str]:
        """Note how many weights each layer of the ticket keeps; what is remarkable is returned.

        ``asked`` is the sparsity meant, ``ties`` what equal scores left open, ``footprint`` what
        the ticket costs, where its stage has noted that. ``is_moved``: this is what training has
        made of the mask that was noted before.
        """
        counts, before = kept(mask), self.content["ticket"] or {}
        self.content["ticket"] = {
            "sparsity": 1 - sum(counts.values()) / blueprint.total,
            "kept": sum(counts.values()),
            "total": blueprint.total,
            "layers": [
                {"name": layer.name, "total": layer.total, "kept": counts[layer.name]}
                for layer in blueprint.layers
            ],
            "digest": mask_digest(mask),
            **({"found": before["digest"]} if is_moved else {}),
            **({} if asked is None else {"asked": asked}),
            **({} if ties is None else {"ties": ties}),
            **({} if footprint is None else {"footprint": footprint}),
        }
        return remarks.of_ticket(self.content["ticket"])

    def set_check(self, name: str, effect: dict[str, Any] | None) -> None:
        """Note the sanity check and what it measurably changed."""
        self.content["check"] = {"name": name, "effect": effect or {}}

    def add_results(
        self, *, dense: Entry | None, pruned: Entry | None, ticket: Entry | None, baseline: bool
    ) -> None:
        """Note the final figures of the stages there are; of a ``baseline`` the dense network's.

        ``test_accuracy`` is the last epoch's. ``pruned_test_accuracy`` is that of the trained
        network under its mask, for pruners that score one, otherwise of the untrained ticket.
        """
        metrics = self.content["metrics"]
        if dense is not None:
            metrics["dense_test_accuracy"] = dense.facts["epochs"][-1]["test_accuracy"]
        final = dense if baseline else ticket
        if pruned is not None and "pruned_test_accuracy" in pruned.facts:
            metrics["pruned_test_accuracy"] = pruned.facts["pruned_test_accuracy"]
        elif ticket is not None:
            metrics["pruned_test_accuracy"] = ticket.facts["start_test_accuracy"]
        if final is not None:
            metrics |= _results(final.facts["epochs"])
        data = _data([entry.facts for entry in (dense, ticket) if entry is not None])
        if data:
            self.content["data"] = data

    @property
    def objective(self) -> float | None:
        """The accuracy that sweepers optimise: the validation set's if there is one."""
        metrics = self.content["metrics"]
        accuracy = metrics.get("validation_accuracy", metrics.get("test_accuracy"))
        return None if accuracy is None else float(accuracy)

    def complete(self) -> None:
        """The run reached its end."""
        self._write("completed")

    def fail(self, reason: str) -> None:
        """The run ended early; what it had reached stays noted."""
        self.content["reason"] = reason
        try:
            self._write("failed")
        except StoreError as error:  # the reason itself is still to be told
            log.warning("%s", error)

    def _write(self, status: str) -> None:
        self.content["status"] = status
        try:
            with self._writing():
                write_json(self.path, _finite(self.content))
        finally:
            if self.listener:
                self.listener.end(self.content)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreError(
                f"the run's directory {self.directory} cannot be written ({reason(error)})"
            ) from error


def mask_digest(mask: Mask) -> str:
    """The SHA-256 of which weights a mask keeps, in hex: the same for masks that are the same."""
    found = hashlib.sha256()
    for name in sorted(mask):
        found.update(f"{name}\0{tuple(mask[name].shape)}\0".encode())
        found.update(np.packbits(mask[name].cpu().numpy()).tobytes())
    return found.hexdigest()


@contextmanager
def exclusive(directory: Path, *, wait: bool = False) -> Iterator[None]:
    """Be the only run at work in ``directory``; raises StoreError where there is another.

    With ``wait`` it waits for the other: a worker that has outlived its sweep is at the same job.
    The lock file stays; the lock itself ends with its process, however that ends.
    """
    try:
        if not (directory / LOCK).exists():
            _share(directory)
        lock = locks.lock_at(directory / LOCK)
        lock.acquire(timeout=-1 if wait else PATIENCE)
    except Timeout:
        raise StoreError(f"another run is at work in {directory}") from None
    except OSError as error:
        raise StoreError(
            f"the run's directory {directory} cannot be written ({locks.why_not(error)})"
        ) from error
    try:
        locks.note(directory / LOCK)
        yield
    finally:
        locks.unnote(directory / LOCK)
        lock.release()


def _share(directory: Path) -> None:
    """Let the group share a new run's directory where what it lies in is the group's.

    Hydra has made it, and written its own files into it.
    """
    hydra = directory / ".hydra"
    for path in (directory, *directory.glob("*.log"), hydra, *hydra.glob("*.yaml")):
        if path.exists():
            sharing.follow(path)


def is_running(directory: Path) -> bool:
    """Whether a run is at work in ``directory`` now, on this host or one that shares it."""
    return locks.is_held(directory / LOCK)


def _finite(value: Any) -> Any:
    """JSON has no NaN or infinity, but the setting that was refused for being one must show."""
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _results(epochs: list[dict[str, Any]]) -> dict[str, float]:
    """Last and best figures of a training; validation only where there is any."""
    last = epochs[-1]
    results = {
        "test_accuracy": last["test_accuracy"],
        "best_test_accuracy": max(epoch["test_accuracy"] for epoch in epochs),
        "test_loss": last["test_loss"],
    }
    validation = ("validation_accuracy", "validation_loss")
    return results | {name: last[name] for name in validation if name in last}


def _data(trainings: list[dict[str, Any]]) -> dict[str, Any]:
    """What is to be known of the data; what earlier versions have stored tells less, or nothing."""
    known = {name: facts[name] for facts in trainings for name in OF_THE_DATA if name in facts}
    told = dict.fromkeys(text for facts in trainings for text in facts.get("remarks", []))
    return known | ({"remarks": list(told)} if told else {})


def versions() -> dict[str, str]:
    """The versions of everything that computes a result."""
    return {
        "sanity": __version__,
        "python": platform.python_version(),
        **{package: version(package) for package in PACKAGES},
        "cuda": torch.version.cuda or "none",
    }
