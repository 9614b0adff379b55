"""The parameters of a masked network, compact: kept weights, biases and norms in one vector."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sanity.pruning.masks import Mask
from sanity.training.engines.program import Combination, Convolution, Program

Floats = Any
"""A numpy array of float32."""


@dataclass(frozen=True)
class Kept:
    """The weights of a layer that are kept: ``count`` of them from ``place`` on in the vector.

    ``indices`` are their output, input, row and column, in the order of the layer's own memory.
    """

    place: int
    indices: tuple[Any, ...]

    @property
    def count(self) -> int:
        return len(self.indices[0])


class Parameters:
    """The vector ``theta`` of all that is trained, and its gradient.

    First come the weights of convolutions and their biases (``summed``: their gradients are sums
    over blocks), then what norms have.
    """

    def __init__(self, network: nn.Module, program: Program, mask: Mask) -> None:
        modules: dict[str, Any] = dict(network.named_modules())
        named = dict(network.named_parameters())
        self._places: dict[str, tuple[int, Any]] = {}  # parameter -> place, flat indices in it
        self.kept: dict[str, Kept] = {}
        place = 0

        def add(name: str, indices: Any) -> None:
            nonlocal place
            self._places[name] = (place, indices)
            place += len(indices)

        layers = [one for one in program.operations if isinstance(one, Convolution)]
        norms = [one.norm for one in program.operations if isinstance(one, Combination) if one.norm]
        for layer in layers:
            weight = modules[layer.name].weight
            keep = mask.get(layer.name)
            whole = torch.ones_like(weight, dtype=torch.bool) if keep is None else keep
            indices = whole.reshape(-1).nonzero().squeeze(1)
            full = (*weight.shape, 1, 1)[:4]
            self.kept[layer.name] = Kept(place, np.unravel_index(indices.numpy(), full))
            add(f"{layer.name}.weight", indices)
        for layer in layers:
            if layer.bias:
                add(f"{layer.name}.bias", torch.arange(layer.y.channels))
        self.summed = place
        for name in norms:
            for part in ("weight", "bias"):
                add(f"{name}.{part}", torch.arange(len(named[f"{name}.{part}"])))
        self._named = {name: named[name] for name in self._places}
        self._padded = torch.zeros(place + 1)
        self.theta, self.gradient = self._padded[:place], torch.zeros(place)
        self.theta.grad = self.gradient
        self._zeros = np.zeros(max((layer.y.channels for layer in layers), default=0), np.float32)
        self._gathered: list[tuple[Any, Floats]] = []
        self.take()

    def _part(self, name: str, of: Tensor) -> Floats:
        place, indices = self._places[name]
        return of.numpy()[place : place + len(indices)]

    def weights(self, module: str) -> Floats:
        """The kept weights of a layer, or what a norm multiplies with, in place."""
        return self._part(f"{module}.weight", self.theta)

    def bias(self, module: str) -> Floats:
        """The bias of a layer or norm, in place; zeros for a layer without."""
        name = f"{module}.bias"
        return self._part(name, self.theta) if name in self._places else self._zeros

    def bias_place(self, module: str) -> int:
        """Where a layer's bias begins in the vector."""
        return self._places[f"{module}.bias"][0]

    def norm_gradients(self, norm: str) -> tuple[Floats, Floats]:
        """The gradients of what a norm multiplies with and adds, in place."""
        weight, bias = (self._part(f"{norm}.{name}", self.gradient) for name in ("weight", "bias"))
        return weight, bias

    def gathered(self, places: Any) -> Floats:
        """Parameters in another order, brought up to date by :meth:`gather`; 0 for place -1."""
        found = np.zeros(len(places), np.float32)
        self._gathered.append((places, found))
        return found

    def gather(self) -> None:
        """Bring all that was asked of :meth:`gathered` up to date."""
        padded = self._padded.numpy()
        for places, found in self._gathered:
            np.take(padded, places, out=found, mode="wrap")  # -1 is the zero behind the last

    @torch.no_grad()
    def take(self) -> None:
        """Read the network's parameters."""
        for name, (place, indices) in self._places.items():
            self.theta[place : place + len(indices)] = self._named[name].reshape(-1)[indices]

    @torch.no_grad()
    def give(self, theta: Tensor | None = None) -> None:
        """Write the network's parameters, as they are or as in ``theta``; pruned ones stay."""
        vector = self.theta if theta is None else theta
        for name, (place, indices) in self._places.items():
            self._named[name].view(-1)[indices] = vector[place : place + len(indices)]

    @torch.no_grad()
    def spread(self, vector: Tensor) -> dict[str, Tensor]:
        """A vector like ``theta``, as tensors by the names of parameters; 0 where pruned."""
        found = {}
        for name, (place, indices) in self._places.items():
            found[name] = torch.zeros_like(self._named[name])
            found[name].view(-1)[indices] = vector[place : place + len(indices)]
        return found

    @torch.no_grad()
    def collect(self, tensors: dict[str, Tensor]) -> Tensor:
        """The same the other way round; 0 for parameters that ``tensors`` lacks."""
        vector = torch.zeros_like(self.theta)
        for name, (place, indices) in self._places.items():
            if name in tensors:
                vector[place : place + len(indices)] = tensors[name].reshape(-1)[indices]
        return vector
