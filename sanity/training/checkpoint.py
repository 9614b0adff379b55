"""Checkpoints inside a training: the last two are kept, each whole or absent, verified when read.

A checkpoint is ``<number>.safetensors`` and, written after it, ``<number>.json`` with the digests
of both. Beside them lie weights to be remembered of epochs that have passed. A checkpoint that
cannot be written never stops a training, and one that is damaged never enters it.
"""

import hashlib
import json
import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from sanity.core import sharing
from sanity.core.errors import reason
from sanity.core.files import digest, fsync_directory, write_atomically, write_json
from sanity.core.tensors import apart
from sanity.networks.layers import layer_of
from sanity.training.engines.base import EngineState

log = logging.getLogger(__name__)

FORMAT = 2
GENERATIONS = 2
TENSORS = ("losses", "engine")  # of a state; its other fields are JSON

Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class State:
    """A training between two steps; its tensors are on the CPU.

    ``step`` steps of ``epoch`` are done, which took ``seconds``: their mean ``losses`` [step],
    their ``hits`` together and the ``sizes`` of their batches. ``history`` has the figures of
    the epochs before, ``engine`` the network, its momentum and its mask.
    """

    epoch: int
    step: int
    seconds: float
    hits: int
    sizes: list[int]
    history: list[dict[str, Any]]
    losses: Tensor
    engine: EngineState


class Checkpoints:
    """The checkpoints of one training in ``directory``, due every ``every`` seconds (None: never).

    Whoever uses them holds the lock of the training's key.
    """

    def __init__(self, directory: Path, every: float | None) -> None:
        self.directory, self.every = directory, every
        self._last = time.monotonic()
        self._number = 0
        self._kept: dict[str, Tensors] = {}
        self._kept_digests: dict[str, str] = {}
        self._warned = False

    def due(self) -> bool:
        """Whether the last checkpoint, or the start, is ``every`` seconds ago."""
        return self.every is not None and time.monotonic() - self._last >= self.every

    def save(self, state: State) -> None:
        """Write a checkpoint; a disk that does not take it is one warning, however often."""
        number = self._number + 1
        with self._going_on_without():
            content = {
                "format": FORMAT,
                "facts": {name: one for name, one in vars(state).items() if name not in TENSORS},
                "tensors": self._write(_name(number), _tensors(state)),
                "kept": self._kept_digests,
            }
            path = self.directory / f"{_name(number)}.json"
            write_json(path, content | {"digest": digest(content)})
            fsync_directory(self.directory)
            self._number = number
            self._remove_all_but(self._numbers()[-GENERATIONS:])
        self._last = time.monotonic()

    def load(self, network: nn.Module) -> State | None:
        """The last state that is whole and fits ``network``; None where training starts anew."""
        numbers, problems, state = self._numbers(), [], None
        self._number = max(numbers, default=0)
        while numbers and state is None:
            try:
                state = self._read(numbers[-1], network)
            except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
                problems.append(f"{_name(numbers.pop())}: {error or type(error).__name__}")
        with self._going_on_without():
            self._remove_all_but(numbers)  # and what a killed run left half-written
        if problems:
            rest = "the one before is used" if state else "training starts anew"
            log.warning("useless checkpoint in %s (%s): %s", self.directory, problems[0], rest)
        return state

    def keep(self, name: str, tensors: Mapping[str, Tensor]) -> None:
        """Remember the weights ``name`` that training passes by, also when it is resumed."""
        self._kept[name] = {key: tensor.detach().cpu().clone() for key, tensor in tensors.items()}
        with self._going_on_without():
            self._kept_digests[name] = self._write(f"kept-{name}", self._kept[name])

    def kept(self, name: str) -> Tensors | None:
        """The weights ``name``; None where this training, or its checkpoints, do not have them."""
        if name not in self._kept and name in self._kept_digests:
            try:
                self._kept[name] = self._tensors(f"kept-{name}", self._kept_digests[name])
            except (OSError, ValueError, SafetensorError) as error:
                log.warning("the checkpoints in %s lack %s (%s)", self.directory, name, error)
        return self._kept.get(name)

    def clear(self) -> None:
        """Remove the checkpoints, which would lead to the same failure again."""
        with self._going_on_without():
            self._kept_digests = {}
            self._remove_all_but([])

    def _read(self, number: int, network: nn.Module) -> State:
        content = json.loads((self.directory / f"{_name(number)}.json").read_text("utf-8"))
        if content.pop("digest") != digest(content) or content["format"] != FORMAT:
            raise ValueError("it does not match its digest, or is of another format")
        tensors = self._tensors(_name(number), content["tensors"])
        losses = tensors.pop("losses")
        parts: dict[str, Tensors] = {"network": {}, "momentum": {}, "mask": {}}
        for name, tensor in tensors.items():
            part, _, inside = name.partition(".")
            parts[part][inside] = tensor
        state = State(**content["facts"], losses=losses, engine=EngineState(**parts))
        _refuse_misfit(state, network)
        self._kept_digests = content["kept"]
        return state

    def _write(self, name: str, tensors: Mapping[str, Tensor]) -> str:
        """Write ``<name>.safetensors``; its digest, of what was meant to be written."""
        content = save(apart(tensors))
        sharing.make_directory(self.directory)
        write_atomically(self.directory / f"{name}.safetensors", content)
        return hashlib.sha256(content).hexdigest()

    def _tensors(self, name: str, expected: str) -> Tensors:
        content = (self.directory / f"{name}.safetensors").read_bytes()
        if hashlib.sha256(content).hexdigest() != expected:
            raise ValueError(f"{name}.safetensors does not match its digest")
        return load(content)

    def _numbers(self) -> list[int]:
        names = [path.stem for path in self.directory.glob("*.json")]
        return sorted(int(name) for name in names if name.isdigit())

    def _remove_all_but(self, numbers: list[int]) -> None:
        wanted = {f"{_name(n)}{suffix}" for n in numbers for suffix in (".json", ".safetensors")}
        wanted |= {f"kept-{name}.safetensors" for name in self._kept_digests}
        for path in self.directory.glob("*"):
            if path.name not in wanted:
                path.unlink()

    @contextmanager
    def _going_on_without(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if not self._warned:
                log.warning(
                    "checkpoints in %s cannot be written (%s): training goes on without",
                    self.directory,
                    reason(error),
                )
            self._warned = True


def _name(number: int) -> str:
    return f"{number:08}"


def _tensors(state: State) -> Tensors:
    parts = vars(state.engine).items()
    named = {f"{part}.{name}": one for part, inside in parts for name, one in inside.items()}
    return {"losses": state.losses, **named}


def _refuse_misfit(state: State, network: nn.Module) -> None:
    """Raise ValueError where the tensors are those of another network."""
    parameters, found = _forms(dict(network.named_parameters())), state.engine
    alike = _forms(found.network) == _forms(network.state_dict())
    shapes = {layer_of(name): parameter.shape for name, parameter in network.named_parameters()}
    masked = {name: keep.shape for name, keep in found.mask.items()}
    alike &= masked.items() <= shapes.items()
    if not (alike and _forms(found.momentum).items() <= parameters.items()):
        raise ValueError("its tensors do not fit the network")


def _forms(tensors: Mapping[str, Tensor]) -> dict[str, tuple[Any, ...]]:
    return {name: (tensor.shape, tensor.dtype) for name, tensor in tensors.items()}
