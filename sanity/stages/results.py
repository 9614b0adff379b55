"""What results of stages hold, by what they are to those that read them."""

from torch import Tensor

from sanity.pruning.masks import Mask
from sanity.pruning.ticket import expand
from sanity.store import Entry


def mask_of(pruned: Entry) -> Mask:
    """The mask that a prune stage left."""
    return pruned.tensors("mask")


def final(trained: Entry) -> tuple[dict[str, Tensor], Mask]:
    """A trained network's state dict, and the mask that its training ended with, if any."""
    return expand(trained.tensors("final"))
