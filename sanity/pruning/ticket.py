"""Tickets on disk: a network's weights together with its mask, as small as its mask makes them.

Of a pruned layer only the surviving values are kept, in the order of its mask, and the mask as
bits. At 98% sparsity this is less than a fifteenth of the network, which is what makes a store of
thousands of tickets affordable.
"""

import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from sanity.networks.layers import layer_of, parameter_of
from sanity.pruning.masks import Mask

MASK, SHAPE = ".mask", ".shape"
"""Beside a weight's name: which weights survive, eight to a byte, and how they are laid out."""


def compress(state: Mapping[str, Tensor], mask: Mask) -> dict[str, Tensor]:
    """``state`` with every layer's weight replaced by its surviving values, a 1-d tensor.

    Without a mask (a dense network) it is the state itself.
    """
    small = {name: tensor.detach().cpu() for name, tensor in state.items()}
    for layer, keep in mask.items():
        weight = parameter_of(layer, state)
        small[weight] = small[weight][keep]
        small[f"{weight}{MASK}"] = torch.from_numpy(np.packbits(keep.numpy()))
        small[f"{weight}{SHAPE}"] = torch.tensor(keep.shape)
    return small


def expand(small: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], Mask]:
    """The state dict that :func:`compress` was given, with pruned weights at 0, and the mask."""
    mask = mask_in(small)
    weights = {layer: parameter_of(layer, small) for layer in mask}
    beside = {f"{weight}{name}" for weight in weights.values() for name in (MASK, SHAPE)}
    state = {name: tensor for name, tensor in small.items() if name not in beside}
    for layer, keep in mask.items():
        values = small[weights[layer]]
        state[weights[layer]] = torch.zeros(keep.shape, dtype=values.dtype).masked_scatter_(
            keep, values
        )
    return state, mask


def mask_in(small: Mapping[str, Tensor]) -> Mask:
    """The mask alone; empty of a dense network. Raises ValueError where it is damaged."""
    # No module bears the name of a parameter: beside a weight there is nothing else of its name.
    weights = [weight for weight in small if f"{weight}{MASK}" in small]
    return {
        layer_of(weight): _bits(small[f"{weight}{MASK}"], small[f"{weight}{SHAPE}"])
        for weight in weights
    }


def _bits(packed: Tensor, shape: Tensor) -> Tensor:
    sizes = shape.tolist()
    if packed.dtype != torch.uint8 or len(packed) != -(-math.prod(sizes) // 8):
        raise ValueError(f"a mask of {len(packed)} bytes is none of shape {sizes}")
    bits = np.unpackbits(packed.numpy(), count=math.prod(sizes))
    return torch.from_numpy(bits.astype(bool)).reshape(sizes)
