"""What can be pruned: the convolution and linear weights of a network, in module order."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Literal

from torch import Tensor, nn


@dataclass(frozen=True)
class Layer:
    """One prunable weight tensor; ``name`` is its module's path, ``shape`` the weight's."""

    name: str
    kind: Literal["conv", "linear"]
    shape: tuple[int, ...]

    @property
    def total(self) -> int:
        return prod(self.shape)


@dataclass(frozen=True)
class Blueprint:
    """The prunable layers of a network, and whether shortcuts bypass them (ResNets)."""

    layers: tuple[Layer, ...]
    residual: bool

    @property
    def total(self) -> int:
        return sum(layer.total for layer in self.layers)

    @property
    def names(self) -> Sequence[str]:
        return [layer.name for layer in self.layers]

    def of_kind(self, kind: Literal["conv", "linear"]) -> list[Layer]:
        return [layer for layer in self.layers if layer.kind == kind]


def prunable_modules(network: nn.Module) -> dict[str, nn.Conv2d | nn.Linear]:
    """Every convolution and linear module by name; biases and batch norms are never pruned."""
    return {
        name: module
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv2d | nn.Linear)
    }


def prunable_weights(network: nn.Module) -> dict[str, Tensor]:
    """The prunable weights themselves (not copies), keyed by layer name."""
    return {name: module.weight for name, module in prunable_modules(network).items()}


def blueprint(network: nn.Module) -> Blueprint:
    """Describe ``network``, which says by its attribute ``residual`` whether it has shortcuts."""
    layers = tuple(
        Layer(
            name, "conv" if isinstance(module, nn.Conv2d) else "linear", tuple(module.weight.shape)
        )
        for name, module in prunable_modules(network).items()
    )
    return Blueprint(layers, residual=bool(getattr(network, "residual", False)))
