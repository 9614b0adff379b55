"""Layer-wise rearrangement: does it matter which weights of a layer are kept?"""

from dataclasses import dataclass

import torch
from torch import Tensor

from sanity.checks.base import Effect, MaskCheck, by_layer
from sanity.pruning.masks import Mask


def permute(keep: Tensor, generator: torch.Generator) -> Tensor:
    """The same number of kept positions, uniformly anywhere in the layer."""
    order = torch.randperm(keep.numel(), generator=generator)
    return keep.flatten()[order].view(keep.shape)


@dataclass
class Rearrange(MaskCheck):
    """Every layer keeps as many weights, but others (Su et al. 2020, section 3)."""

    cites = ("su2020sanity",)
    change = "rearranged"
    uses = "the positions it keeps"

    def perturb(self, mask: Mask, generator: torch.Generator) -> tuple[Mask, Effect]:
        """Counts the kept positions that are kept no more."""
        permuted = {name: permute(keep, generator) for name, keep in mask.items()}
        moved = [int((keep & ~permuted[name]).sum()) for name, keep in mask.items()]
        return permuted, by_layer("positions", "moved", moved, mask)
