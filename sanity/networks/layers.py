"""What can be pruned: the weights of convolutions, linear layers and attention, in module order."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Literal

from torch import nn

WEIGHT = "weight"
PROJECTIONS = ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight")
"""The weights that ``nn.MultiheadAttention`` has of its own; its output's is a linear layer."""


@dataclass(frozen=True)
class Layer:
    """One prunable weight tensor of the shape ``shape``.

    ``name`` is its parameter's, without the ending ``.weight``: conv1, attn.in_proj_weight.
    ``positions`` is how often one image's forward pass applies each of its weights (a convolution
    once an output position, a linear layer once a row), None where that is not known.
    """

    name: str
    kind: Literal["conv", "linear"]
    shape: tuple[int, ...]
    positions: int | None = None

    @property
    def total(self) -> int:
        return prod(self.shape)


@dataclass(frozen=True)
class Blueprint:
    """The prunable layers of a network, in module order, and how they are connected.

    ``shortcuts``: whether paths over fewer layers meet those over more (ResNets); None where that
    is not known. ``classifier``: the layers that give the logits. ``misplaced``: a layer that
    stands before another one in the network and yet gets its output, with that one, if there is
    any. ``draws``: whether the forward pass uses chance. ``remarks``: what a user should know.
    """

    layers: tuple[Layer, ...]
    shortcuts: bool | None = None
    classifier: tuple[str, ...] = ()
    misplaced: tuple[str, str] | None = None
    draws: bool = False
    remarks: tuple[str, ...] = ()

    @property
    def total(self) -> int:
        return sum(layer.total for layer in self.layers)

    @property
    def names(self) -> Sequence[str]:
        return [layer.name for layer in self.layers]

    @property
    def heads(self) -> list[Layer]:
        """The layers of the classifier."""
        return [layer for layer in self.layers if layer.name in self.classifier]

    def of_kind(self, kind: Literal["conv", "linear"]) -> list[Layer]:
        return [layer for layer in self.layers if layer.kind == kind]


def prunable_weights(network: nn.Module) -> dict[str, nn.Parameter]:
    """What may be pruned of ``network`` by layer name: the parameters themselves, each once.

    Biases, norms and embeddings never are.
    """
    found: dict[nn.Parameter, str] = {}
    for path, module in network.named_modules():
        for name, parameter in module.named_parameters(path, recurse=False):
            if is_prunable(module, name.rpartition(".")[2]):
                found.setdefault(parameter, layer_of(name))
    return {name: parameter for parameter, name in found.items()}


def is_prunable(module: nn.Module, name: str) -> bool:
    """Whether the parameter ``name`` of ``module`` may be pruned."""
    if isinstance(module, nn.MultiheadAttention):
        return name in PROJECTIONS
    return isinstance(module, nn.Conv2d | nn.Linear) and name == WEIGHT


def is_known_code(network: nn.Module) -> bool:
    """Whether PyTorch and this package alone decide what it computes."""
    packages = {type(module).__module__.split(".")[0] for module in network.modules()}
    return packages <= {"torch", "sanity"}


def layer_of(parameter: str) -> str:
    """The name of the layer whose weight the parameter is."""
    return parameter.removesuffix(f".{WEIGHT}")


def parameter_of(layer: str, state: Mapping[str, object]) -> str:
    """The name of a layer's weight in a network's state dict."""
    name = f"{layer}.{WEIGHT}"
    return name if name in state else layer


def weights_of(network: nn.Module, names: Iterable[str]) -> dict[str, nn.Parameter]:
    """The weights of the layers ``names`` (not copies), in the network's order."""
    wanted = set(names)
    named = ((layer_of(name), parameter) for name, parameter in network.named_parameters())
    found = {name: parameter for name, parameter in named if name in wanted}
    if missing := wanted - found.keys():
        raise KeyError(f"the network has no layer {min(missing)}")
    return found
