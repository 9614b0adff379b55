"""How images flow through a network to its logits: seen from what a forward pass computes.

Every operation is seen as PyTorch carries it out, below modules and functions: so what a network's
code calls things, and in which way it uses its weights, does not matter.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from sanity.networks.operations import Operation, Watcher

CONVOLUTIONS = {"convolution", "_convolution", "mkldnn_convolution", "cudnn_convolution"}
MATRIX_PRODUCTS = {"mm", "addmm", "bmm", "baddbmm", "linear"}
APPLIES = CONVOLUTIONS | MATRIX_PRODUCTS | {"mul", "mul_", "mv", "addmv", "dot"}
"""What applies weights to activations: of a weight that is 0, nothing comes."""

KEEPS_ZEROS = {
    *("clone", "_to_copy", "copy", "mul", "div", "neg", "abs", "cat", "stack"),
    *("_unsafe_view", "flip", "index", "index_select", "roll"),
}
"""What makes weights of weights with zeros where they were: copies, scaled, put together."""

MEETINGS = {"add", "add_", "sub", "sub_", "cat", "stack", "copy_", "where", "lerp", "addcmul"}
"""Where paths meet, so that one may go around what is on the other; elsewhere (products: gates,
attention) one path changes what the other carries."""


@dataclass(frozen=True)
class Activation:
    """What has come from the images so far, over which layers.

    The path over the fewest layers has ``least``, the one over the most has ``most``. ``front``
    are the layers after which there was no other, ``behind`` all that it has come through.
    """

    least: int = 0
    most: int = 0
    front: frozenset[str] = frozenset()
    behind: frozenset[str] = frozenset()

    def through(self, layers: frozenset[str]) -> "Activation":
        """The same behind ``layers``, which are applied at once."""
        return Activation(self.least + 1, self.most + 1, layers, self.behind | layers)


@dataclass
class Flow:
    """What a forward pass has shown.

    ``output`` is None where what it gives does not come from the images, as far as can be seen.
    ``positions``: how often one image's pass applies each weight of a layer, None where that is
    not the same for all or not seen. ``after``: for each layer all those whose output it gets.
    ``filled``: layers of which pruned weights do not stay without effect, and the operation that
    makes something of their zeros.
    """

    output: Activation | None = None
    positions: dict[str, int | None] = field(default_factory=dict)
    after: dict[str, frozenset[str]] = field(default_factory=dict)
    filled: dict[str, str] = field(default_factory=dict)

    @property
    def used(self) -> frozenset[str]:
        """The layers that what the pass gives has come through; all applied, where not seen."""
        return frozenset(self.after) if self.output is None else self.output.behind


def flow(network: nn.Module, weights: Mapping[str, Tensor], images: Tensor) -> tuple[Flow, Any]:
    """The flow of ``images`` [B, C, H, W] through ``network``, and what it gives.

    ``weights`` are those of its layers by name. With gradients enabled; without them, modules take
    short cuts of their own.
    """
    watch = _Watch(weights, images)
    with watch:
        output = network(images)
    found = watch.found
    if isinstance(output, Tensor):
        found.output = watch.activation(output)
    return found, output


@dataclass(frozen=True)
class _Held:
    """Weights in memory: of which layers, and what has been done with them that fills zeros."""

    layers: frozenset[str] = frozenset()
    filled_by: str | None = None


class _Watch(Watcher):
    """Follows memory, since views share it and what works in place goes on in it."""

    def __init__(self, weights: Mapping[str, Tensor], images: Tensor) -> None:
        super().__init__()
        self.found = Flow()
        self._count = len(images)
        self._sizes = {name: weight.numel() for name, weight in weights.items()}
        self._weights = {
            _memory(weight): _Held(frozenset({name})) for name, weight in weights.items()
        }
        self._made = {_memory(images): Activation()}
        self._kept: list[Any] = [images]  # as long as the pass takes: no memory is used again

    def activation(self, tensor: Tensor) -> Activation | None:
        """What is in a tensor, if it comes from the images."""
        return self._made.get(_memory(tensor))

    def note(self, operation: Operation) -> None:
        """Note what came of what."""
        self._kept.append(operation)
        inputs = [_memory(one) for one in operation.inputs]
        held = [self._weights[key] for key in inputs if key in self._weights]
        sources = [self._made[key] for key in inputs if key in self._made]
        if sources:
            met = _met(operation.name, sources)
            if held:
                met = self._apply(operation, held, met)
            self._made |= {_memory(one): met for one in operation.outputs}
        elif held:
            self._remake(operation, held)

    def _remake(self, operation: Operation, held: list[_Held]) -> None:
        """Weights of weights: views, copies, or something else."""
        layers = frozenset[str]().union(*(one.layers for one in held))
        if self._is_applied(operation):  # to what cannot be seen to come from the images
            for layer in layers:
                self.found.after.setdefault(layer, frozenset())
                self.found.positions[layer] = None
            return
        filled = [one.filled_by for one in held]
        name = operation.name.rstrip("_")
        if name == "mul":  # a product is 0 where one of its factors is
            filled = [] if None in filled else filled
        elif name == "div":  # and a quotient where what is divided is
            filled = filled[:1]
        filled_by = next((one for one in filled if one), None)
        if name not in KEEPS_ZEROS:
            filled_by = filled_by or operation.name
        for key in map(_memory, operation.outputs):
            if key not in self._weights:  # no view of what is there
                self._weights[key] = _Held(layers, filled_by)

    def _is_applied(self, operation: Operation) -> bool:
        """Whether an operation is a layer's, with something that is no weight."""
        others = [one for one in operation.inputs if _memory(one) not in self._weights]
        is_layers = operation.name in CONVOLUTIONS | MATRIX_PRODUCTS
        return is_layers and any(one.dim() > 1 for one in others)

    def _apply(self, operation: Operation, held: list[_Held], met: Activation) -> Activation:
        """Weights meet activations: the use of a layer."""
        layers = frozenset[str]().union(*(one.layers for one in held))
        for layer in layers:
            self.found.after[layer] = self.found.after.get(layer, frozenset()) | met.behind
        for one in held:
            filled_by = one.filled_by if operation.name in APPLIES else operation.name
            if filled_by:
                self.found.filled |= dict.fromkeys(one.layers, filled_by)
        self._count_uses(operation, layers)
        return met.through(layers)

    def _count_uses(self, operation: Operation, layers: frozenset[str]) -> None:
        """Add how often each weight is applied to one image, where all are as often."""
        used = sum(one.numel() for one in operation.inputs if _memory(one) in self._weights)
        for layer in layers:
            size, before = self._sizes[layer], self.found.positions.get(layer, 0)
            uses, rest = divmod(_products(operation), self._count * size)
            known = used == size and uses and not rest
            self.found.positions[layer] = before + uses if known and before is not None else None


def _met(name: str, sources: list[Activation]) -> Activation:
    """What comes of several activations by an operation that applies no layer."""
    if len(sources) == 1:
        return sources[0]
    choose = min if name in MEETINGS else max
    return Activation(
        least=choose(one.least for one in sources),
        most=max(one.most for one in sources),
        front=frozenset[str]().union(*(one.front for one in sources)),
        behind=frozenset[str]().union(*(one.behind for one in sources)),
    )


def _products(operation: Operation) -> int:
    """How many products of two numbers it has summed; 0 where that is not known."""
    name, inputs, output = operation.name, operation.inputs, operation.outputs[0]
    if name in CONVOLUTIONS:
        return output.numel() * inputs[1][0].numel()
    if name in MATRIX_PRODUCTS:
        rows = inputs[0] if name == "linear" else inputs[-2]
        return output.numel() * rows.shape[-1]
    return 0


def _memory(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)
