"""Is there anything left to train? Paths from the input to the output of a masked network."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from sanity.core.streams import generator
from sanity.networks.build import build
from sanity.networks.layers import prunable_modules
from sanity.pruning.masks import Mask


@torch.no_grad()
def is_dead(
    factory: Callable[[], nn.Module], mask: Mask, input_shape: tuple[int, int, int]
) -> bool:
    """Whether no path of kept weights leads from any input to any output.

    Ones flow through the network with every kept weight 1; what reaches a layer's output is
    clipped to 1, since the number of paths exceeds what a float can hold.
    """
    network = build(factory, generator(0, "connectivity")).eval()
    for name, module in prunable_modules(network).items():
        module.weight.copy_(mask[name])
        if module.bias is not None:
            module.bias.zero_()
        module.register_forward_hook(_reached)
    return not bool(network(torch.ones(1, *input_shape)).any())


def _reached(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
    return (output > 0).to(output.dtype)
