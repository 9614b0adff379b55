"""From a network's recipe to a network: its outline without memory, or with initial weights."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn

from sanity.archs.base import Network

T = TypeVar("T", bound=nn.Module)

Factory = Callable[[], nn.Module]
"""Builds the network when called without arguments."""


def skeleton(factory: Factory) -> nn.Module:
    """The network without memory for its weights (meta device): enough for the layer table."""
    with torch.device("meta"):
        return factory()


def fill(network: nn.Module) -> nn.Module:
    """Put a skeleton on the CPU, where it runs: each of its tensors is one 0, seen in its shape."""
    return _replace(network, lambda meta: torch.zeros((), dtype=meta.dtype).expand(meta.shape))


def initialise(network: Network, generator: torch.Generator) -> Network:
    """Give a skeleton memory on the CPU and initial weights drawn from ``generator`` alone.

    ``reset_parameters`` must set every parameter and buffer: it gets the memory as it was found.
    """
    _replace(network, lambda meta: torch.empty(meta.shape, dtype=meta.dtype))
    network.reset_parameters(generator)
    return network


def _replace(network: T, make: Callable[[Tensor], Tensor]) -> T:
    """Give a skeleton other tensors, also where several modules share one.

    ``to_empty``, and running it on the meta device, would import PyTorch's compiler: seconds.
    """
    made: dict[int, Tensor] = {}
    for module in network.modules():
        for tensors in cast(list[dict[str, Any]], [module._parameters, module._buffers]):
            for name, tensor in tensors.items():
                if tensor is None or not tensor.is_meta:
                    continue
                if id(tensor) not in made:
                    found = make(tensor)
                    learns = tensor.requires_grad
                    is_parameter = isinstance(tensor, nn.Parameter)
                    made[id(tensor)] = nn.Parameter(found, learns) if is_parameter else found
                tensors[name] = made[id(tensor)]
    return network


def build(factory: Factory, generator: torch.Generator) -> nn.Module:
    """The network with initial weights drawn from ``generator``, the run's ``init`` stream.

    A module that is no :class:`Network` (one of torchvision's, say) initialises itself, with
    torch's global random state seeded from ``generator`` and put back afterwards.
    """
    network = skeleton(factory)
    if isinstance(network, Network):
        return initialise(network, generator)
    seed = int(torch.randint(2**63 - 1, (), generator=generator))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return factory()
