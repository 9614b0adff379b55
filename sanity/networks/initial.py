"""The weights that a network has before any training: drawn, pretrained, or read from a file."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from sanity.networks.build import Factory, build
from sanity.networks.checkpoint import initialise_from


@dataclass(frozen=True)
class Initial:
    """Where they come from: ``factory`` makes the network with them, a ``file`` replaces them."""

    factory: Factory
    file: Path | None = None

    def network(self, generator: torch.Generator) -> nn.Module:
        """The network on the CPU; what is drawn is drawn from ``generator``, the ``init`` stream.

        Raises DataError where the file is of another network.
        """
        network = build(self.factory, generator)
        if self.file is not None:
            initialise_from(network, self.file)
        return network
