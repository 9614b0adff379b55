"""Masks as explicit data: for every prunable layer, which of its weights are kept."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from sanity.networks.layers import Blueprint, weights_of

Mask = dict[str, Tensor]
"""Layer name -> bool tensor of the weight's shape, on the CPU; True where the weight is kept."""


def full(blueprint: Blueprint) -> Mask:
    """The mask that keeps everything."""
    return {layer.name: torch.ones(layer.shape, dtype=torch.bool) for layer in blueprint.layers}


def kept(mask: Mask) -> dict[str, int]:
    """How many weights each layer keeps."""
    return {name: int(keep.sum()) for name, keep in mask.items()}


@torch.no_grad()
def apply(network: nn.Module, mask: Mapping[str, Tensor]) -> None:
    """Set every pruned weight of ``network`` to exactly 0, in place."""
    for name, weight in weights_of(network, mask).items():
        weight.masked_fill_(~mask[name].to(weight.device), 0.0)
