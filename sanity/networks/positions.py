"""How often a forward pass uses each weight: what multiply-accumulates are counted by."""

import functools
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from sanity.archs.base import Network
from sanity.core.streams import generator
from sanity.networks.build import build, fill, skeleton
from sanity.networks.layers import prunable_modules

FORWARDS = (nn.Conv2d.forward, nn.Linear.forward)


def hollow(factory: Callable[[], nn.Module]) -> nn.Module:
    """The network for passes that look at its structure only, in evaluation mode.

    One of :class:`Network` has no memory for its weights, which all are 0; any other module makes
    its own. The global random state stays as it was.
    """
    network = skeleton(factory)
    if isinstance(network, Network):
        return fill(network).eval()
    return build(factory, generator(0, "connectivity")).eval()


def is_plain(module: nn.Module) -> bool:
    """Whether a prunable layer does what its class is known for, and nothing beside it."""
    hooks = module._forward_hooks or module._forward_pre_hooks
    return type(module).forward in FORWARDS and not hooks


@torch.no_grad()
def positions(
    factory: Callable[[], nn.Module], input_shape: tuple[int, int, int]
) -> dict[str, int] | None:
    """At how many positions one image's forward pass applies each prunable layer, by its name.

    A convolution applies every weight once an output position, a linear layer once a row; what
    is applied several times counts as often. None where that is not all: a layer with a forward
    pass of its own, one that is never called, or a weight that is used outside of its layer.
    """
    network = hollow(factory)
    layers = prunable_modules(network)
    if not all(map(is_plain, layers.values())):
        return None
    uses = _Uses({memory(module.weight) for module in layers.values()})
    found = dict.fromkeys(layers, 0)

    def count(name: str, units: int, module: nn.Module, inputs: Any, output: Tensor) -> None:
        found[name] += output.numel() // units
        uses.inside = False

    for name, module in layers.items():
        module.register_forward_pre_hook(uses.enter)
        module.register_forward_hook(functools.partial(count, name, len(module.weight)))
    try:
        with torch.random.fork_rng(devices=[]), uses:
            network(torch.zeros(1, *input_shape))
    except Exception:  # whatever a network of one's own says to a single image
        return None
    return None if uses.elsewhere or not all(found.values()) else found


class _Uses(TorchFunctionMode):
    """Sees whether weights, known by their memory, are used outside of their layers."""

    def __init__(self, weights: set[int]) -> None:
        super().__init__()
        self.weights = weights
        self.inside = self.elsewhere = False

    def enter(self, module: nn.Module, inputs: Any) -> None:
        """A layer is called."""
        self.inside = True

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if not self.inside:
            used = {memory(one) for one in tensors_in([args, kwargs])}
            self.elsewhere |= bool(used & self.weights)
        return function(*args, **kwargs)


def tensors_in(value: Any) -> Iterator[Tensor]:
    """The tensors in what a function takes or returns."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, list | tuple | dict):
        for one in value.values() if isinstance(value, dict) else value:
            yield from tensors_in(one)


def memory(tensor: Tensor) -> int:
    """Where a tensor's numbers lie; its views share it."""
    return tensor.untyped_storage().data_ptr()
