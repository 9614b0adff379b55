"""From a network's recipe to a network: its outline without memory, or with initial weights."""

import warnings
from collections.abc import Callable
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn

from sanity.archs.base import Network
from sanity.core.errors import ConfigError, SanityError, listed
from sanity.core.streams import generator, seed_of, seeded

T = TypeVar("T", bound=nn.Module)

Factory = Callable[[], nn.Module]
"""Builds the network when called without arguments."""


def skeleton(factory: Factory) -> nn.Module:
    """The network without memory for its weights (meta device): enough for the layer table.

    One that cannot be made so, since it looks at its weights on the way, gets memory.
    """
    with seeded(0):  # what it may draw is drawn for nothing
        try:
            with torch.device("meta"), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of weights that it loads for nothing, too
                return factory()
        except SanityError:
            raise
        except Exception:  # where the fault is the network's own, it is raised once more
            return factory()


def fill(network: nn.Module) -> nn.Module:
    """Put a skeleton on the CPU, where it runs: parameters are one 0 each, seen in their shape."""
    return _replace(
        network,
        lambda meta: (
            torch.zeros((), dtype=meta.dtype).expand(meta.shape)
            if isinstance(meta, nn.Parameter)
            else torch.zeros(meta.shape, dtype=meta.dtype)
        ),
    )


def hollow(factory: Factory) -> nn.Module:
    """The network for passes that look at its structure only, in evaluation mode.

    One of :class:`Network` has no memory for its weights, which all are 0; any other module makes
    its own.
    """
    network = skeleton(factory)
    if isinstance(network, Network):
        return fill(network).eval()
    return build(factory, generator(0, "connectivity")).eval()


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

    A module that is no :class:`Network` (one of torchvision's, say) initialises itself, with the
    global random states of torch, NumPy and Python seeded from ``generator`` and put back
    afterwards.
    """
    network = skeleton(factory)
    if isinstance(network, Network):
        return initialise(network, generator)
    del network
    with seeded(seed_of(generator)):
        return factory()


def tried(factory: Factory) -> tuple[nn.Module, str]:
    """A network that initialises itself, built from one seed twice and from another.

    Gives one of them, and a remark where all are the same. Raises ConfigError where two from the
    same seed differ: then its chance is not ours, and no run with it could be repeated.
    """
    network, *others = (build(factory, generator(0, "tried", number)) for number in (0, 0, 1))
    first, again, other = (one.state_dict() for one in (network, *others))
    strange = [name for name, tensor in first.items() if not _same(tensor, again[name])]
    if strange:
        raise ConfigError(
            f"arch: built twice from the same random state, it differs in {listed(strange)}: it "
            "must draw its initial weights from the global generators of torch, numpy.random or "
            "random, not from one of its own"
        )
    if all(_same(tensor, other[name]) for name, tensor in first.items()):
        return network, "its initial weights are the same for every seed"
    return network, ""


def _same(one: Tensor, other: Tensor) -> bool:
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    return torch.equal(one.nan_to_num(), other.nan_to_num())
