"""A network as a list of what is computed, read off its forward pass.

Only what the fused and the sparse engine compute is in it: convolutions, batch norms, ReLUs, sums
of two, max-pools, global averages and linear layers, in any order. Everything else raises
UnsupportedError.
"""

import copy
import operator
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import fx, nn


class UnsupportedError(Exception):
    """Something that those engines do not compute; the message says what."""


@dataclass(frozen=True)
class Value:
    """An activation: its number, and what it is without a halo."""

    number: int
    channels: int
    height: int
    width: int


@dataclass(frozen=True)
class Convolution:
    """``y`` from ``x`` by the module ``name``; linear layers are convolutions of one pixel."""

    name: str
    x: Value
    y: Value
    kernel: tuple[int, int]
    stride: int
    padding: int
    bias: bool


@dataclass(frozen=True)
class Combination:
    """``z`` = relu(norm(``y``) + ``r``), each but y only where there is one.

    ``norm`` is the name of a batch norm.
    """

    y: Value
    z: Value
    norm: str | None = None
    r: Value | None = None
    relu: bool = False


@dataclass(frozen=True)
class MaxPool:
    """``z`` from windows of ``window`` x ``window`` pixels of ``x`` that do not overlap."""

    x: Value
    z: Value
    window: int


@dataclass(frozen=True)
class Average:
    """``z``: the mean of ``x`` over its pixels."""

    x: Value
    z: Value


Operation = Convolution | Combination | MaxPool | Average


@dataclass(frozen=True)
class Program:
    """Operations in order, from ``images`` to ``logits``."""

    images: Value
    logits: Value
    operations: tuple[Operation, ...]


def program(network: nn.Module, input_shape: tuple[int, int, int]) -> Program:
    """The program of ``network`` in training mode; raises UnsupportedError where it has none.

    A copy is traced: what a forward pass changes or draws on the way is left as it was.
    """
    try:
        with torch.random.fork_rng(devices=[]):
            graph = fx.symbolic_trace(copy.deepcopy(network).train()).graph
    except Exception as error:  # whatever a forward pass does that has no numbers yet
        raise UnsupportedError(
            f"its forward pass cannot be traced ({type(error).__name__})"
        ) from None
    found = _Reader(network, input_shape).read(graph)
    _refuse_shared(network, found)
    return found


class _Reader:
    """Turns the nodes of a traced forward pass into operations, one by one."""

    def __init__(self, network: nn.Module, input_shape: tuple[int, int, int]) -> None:
        self.modules = dict(network.named_modules())
        self.input_shape = input_shape
        self.operations: list[Operation] = []
        self.values: dict[fx.Node, Value] = {}
        self.count = 0

    def read(self, graph: fx.Graph) -> Program:
        images = logits = None
        for node in graph.nodes:
            if node.op == "placeholder":
                if images is not None:
                    raise UnsupportedError("it takes more than images")
                images = self.values[node] = self.new(*self.input_shape)
            elif node.op == "output":
                logits = self.values.get(node.args[0])
            elif node.op == "call_module":
                self.values[node] = self.module(node)
            elif node.op in ("call_function", "call_method"):
                self.values[node] = self.function(node)
            elif node.users:
                raise UnsupportedError(f"it uses {node.target} by itself")
        if images is None or logits is None or (logits.height, logits.width) != (1, 1):
            raise UnsupportedError("it does not give logits")
        return Program(images, logits, tuple(self.operations))

    def new(self, channels: int, height: int, width: int) -> Value:
        self.count += 1
        return Value(self.count - 1, channels, height, width)

    def input(self, node: fx.Node, number: int = 0) -> Value:
        found = node.args[number] if len(node.args) > number else None
        if not isinstance(found, fx.Node) or found not in self.values:
            raise UnsupportedError(f"{node.target} is called in a way of its own")
        return self.values[found]

    def module(self, node: fx.Node) -> Value:
        """What a module makes of its one input."""
        name, module, x = str(node.target), self.modules[str(node.target)], self.input(node)
        if len(node.all_input_nodes) != 1 or node.kwargs:
            raise UnsupportedError(f"{name} has more than one input")
        known: dict[type[nn.Module], Callable[[str, Any, Value], Value]] = {
            nn.Conv2d: self.convolution,
            nn.Linear: self.linear,
            nn.BatchNorm2d: self.norm,
            nn.MaxPool2d: self.max_pool,
            nn.AdaptiveAvgPool2d: self.adaptive_average,
            nn.ReLU: lambda name, module, x: self.relu(x, module.inplace),
            nn.Flatten: self.flatten,
            nn.Identity: lambda name, module, x: x,
        }
        if _has_hooks(module):
            raise UnsupportedError(f"{name} has hooks")
        if isinstance(module, nn.Dropout) and module.p == 0:
            return x
        if type(module) not in known:
            raise UnsupportedError(f"{name} is a {type(module).__name__}")
        return known[type(module)](name, module, x)

    def function(self, node: fx.Node) -> Value:
        """What a function or method makes of its inputs."""
        target: Any = node.target
        rest: tuple[Any, dict[str, Any]] = (node.args[1:], dict(node.kwargs))
        if target in (F.relu, torch.relu, "relu", "relu_", torch.relu_):
            if rest[1].keys() <= {"inplace"} and not rest[0]:
                in_place = target in ("relu_", torch.relu_) or bool(rest[1].get("inplace"))
                return self.relu(self.input(node), in_place)
        elif target in (operator.add, torch.add, "add"):
            if len(node.args) == 2 and not node.kwargs:
                return self.add(self.input(node), self.input(node, 1))
        elif target in (torch.flatten, "flatten"):
            if rest in (((1,), {}), ((), {"start_dim": 1})):
                return self.flatten(str(target), None, self.input(node))
        elif target in (torch.mean, "mean"):
            dims = rest[1].pop("dim", rest[0][0] if len(rest[0]) == 1 else None)
            if tuple(dims or ()) in ((2, 3), (-2, -1)) and rest[1] in ({}, {"keepdim": True}):
                return self.average(self.input(node))
        raise UnsupportedError(f"it calls {getattr(target, '__name__', target)}")

    def convolution(self, name: str, module: nn.Conv2d, x: Value) -> Value:
        (stride, other), padding = module.stride, module.padding
        plain = module.groups == 1 and module.dilation == (1, 1) and module.padding_mode == "zeros"
        if not plain or stride != other or isinstance(padding, str) or padding[0] != padding[1]:
            raise UnsupportedError(f"{name} is a convolution of another kind")
        high, wide = module.kernel_size
        if padding[0] >= min(high, wide):
            raise UnsupportedError(f"{name} is padded by more than its kernel")
        sizes = [
            (side + 2 * padding[0] - span) // stride + 1
            for side, span in ((x.height, high), (x.width, wide))
        ]
        y = self.new(module.out_channels, *sizes)
        bias = module.bias is not None
        self.operations.append(Convolution(name, x, y, (high, wide), stride, padding[0], bias))
        return y

    def linear(self, name: str, module: nn.Linear, x: Value) -> Value:
        if (x.channels, x.height, x.width) != (module.in_features, 1, 1):
            raise UnsupportedError(f"{name} is applied to more than a vector")
        y = self.new(module.out_features, 1, 1)
        self.operations.append(Convolution(name, x, y, (1, 1), 1, 0, module.bias is not None))
        return y

    def norm(self, name: str, module: nn.BatchNorm2d, x: Value) -> Value:
        if not (module.affine and module.track_running_stats and module.momentum is not None):
            raise UnsupportedError(f"{name} is a batch norm of another kind")
        return self.combine(Combination(x, self.like(x), norm=name))

    def relu(self, x: Value, in_place: bool) -> Value:
        if in_place and not self.is_read_once(x):
            raise UnsupportedError("it changes in place what is read elsewhere")
        last = self.alone(x)
        if last is not None and not last.relu:
            return self.combine(replace(last, relu=True), instead=last)
        return self.combine(Combination(x, self.like(x), relu=True))

    def add(self, x: Value, r: Value) -> Value:
        if (x.channels, x.height, x.width) != (r.channels, r.height, r.width):
            raise UnsupportedError("it adds activations of two shapes")
        for value, other in ((x, r), (r, x)):
            last = self.alone(value)
            if value is not other and last is not None and last.r is None and not last.relu:
                return self.combine(replace(last, r=other), instead=last)
        return self.combine(Combination(x, self.like(x), r=r))

    def max_pool(self, name: str, module: nn.MaxPool2d, x: Value) -> Value:
        window, step = module.kernel_size, module.stride
        plain = not (module.padding or module.ceil_mode or module.return_indices)
        if not plain or module.dilation != 1 or window != step or not isinstance(window, int):
            raise UnsupportedError(f"{name} is a max-pool of another kind")
        z = self.new(x.channels, x.height // window, x.width // window)
        self.operations.append(MaxPool(x, z, window))
        return z

    def adaptive_average(self, name: str, module: nn.AdaptiveAvgPool2d, x: Value) -> Value:
        if module.output_size not in (1, (1, 1)):
            raise UnsupportedError(f"{name} averages less than everything")
        return self.average(x)

    def average(self, x: Value) -> Value:
        z = self.new(x.channels, 1, 1)
        self.operations.append(Average(x, z))
        return z

    def flatten(self, name: str, module: nn.Flatten | None, x: Value) -> Value:
        whole = module is None or (module.start_dim, module.end_dim) == (1, -1)
        if not whole or (x.height, x.width) != (1, 1):
            raise UnsupportedError(f"{name} flattens more than one pixel")
        return x

    def like(self, x: Value) -> Value:
        return self.new(x.channels, x.height, x.width)

    def alone(self, value: Value) -> Combination | None:
        """The combination that made ``value``, where only what is read now reads that."""
        if not self.is_read_once(value):
            return None
        made = [one for one in self.operations if result(one) == value]
        return made[0] if made and isinstance(made[0], Combination) else None

    def is_read_once(self, value: Value) -> bool:
        """Whether one operation alone reads it; not known before it is traced whole, but to fx."""
        return all(len(node.users) == 1 for node, one in self.values.items() if one == value)

    def combine(self, operation: Combination, instead: Combination | None = None) -> Value:
        """Add an operation, behind all that it reads; ``instead`` of one that it goes on with."""
        if instead is not None:
            self.operations.remove(instead)
        self.operations.append(operation)
        return operation.z


def result(operation: Operation) -> Value:
    """What an operation makes."""
    return operation.y if isinstance(operation, Convolution) else operation.z


def operands(operation: Operation) -> list[Value]:
    """What an operation reads."""
    if isinstance(operation, Combination):
        return [operation.y] if operation.r is None else [operation.y, operation.r]
    return [operation.x]


def _refuse_shared(network: nn.Module, found: Program) -> None:
    """Raise UnsupportedError where parameters are used twice, or not trained."""
    names = [
        one.name if isinstance(one, Convolution) else one.norm
        for one in found.operations
        if isinstance(one, Convolution) or (isinstance(one, Combination) and one.norm)
    ]
    modules, seen = dict(network.named_modules()), set[int]()
    for name in map(str, names):
        if names.count(name) > 1:
            raise UnsupportedError(f"{name} is used twice")
        for parameter in modules[name].parameters():
            if not parameter.requires_grad:
                raise UnsupportedError(f"{name} is not trained")
            if id(parameter) in seen:
                raise UnsupportedError(f"{name} shares its weights with another layer")
            seen.add(id(parameter))


def _has_hooks(module: nn.Module) -> bool:
    return bool(module._forward_hooks or module._forward_pre_hooks or module._backward_hooks)
