"""From a network's recipe to a network: its outline without memory, or with initial weights."""

from collections.abc import Callable

import torch
from torch import nn

from sanity.archs.base import Network

Factory = Callable[[], nn.Module]
"""Builds the network when called without arguments."""


def skeleton(factory: Factory) -> nn.Module:
    """The network without memory for its weights (meta device): enough for the layer table."""
    with torch.device("meta"):
        return factory()


def initialise(network: Network, generator: torch.Generator) -> Network:
    """Give a skeleton memory on the CPU and initial weights drawn from ``generator`` alone.

    ``reset_parameters`` must set every parameter and buffer: it gets the memory as it was found.
    """
    network.to_empty(device="cpu")
    network.reset_parameters(generator)
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
