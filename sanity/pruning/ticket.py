"""Tickets on disk: of a pruned layer only the surviving values, in the order of its mask.

At 98% sparsity this is a fiftieth of the network, which is what makes a store of thousands of
tickets affordable. The mask lies in the entry of the prune stage.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from sanity.pruning.masks import Mask


def compress(state: Mapping[str, Tensor], mask: Mask) -> dict[str, Tensor]:
    """``state`` with every layer's weight replaced by its surviving values, a 1-d tensor."""
    small = {name: tensor.detach().cpu() for name, tensor in state.items()}
    for layer, keep in mask.items():
        small[f"{layer}.weight"] = small[f"{layer}.weight"][keep]
    return small


def expand(small: Mapping[str, Tensor], mask: Mask) -> dict[str, Tensor]:
    """The state dict that :func:`compress` was given, with pruned weights at 0."""
    state = dict(small)
    for layer, keep in mask.items():
        values = small[f"{layer}.weight"]
        state[f"{layer}.weight"] = torch.zeros(keep.shape, dtype=values.dtype).masked_scatter_(
            keep, values
        )
    return state
