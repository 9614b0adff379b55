"""What results of stages hold, by what they are to those that read them."""

from torch import Tensor

from sanity.pruning.masks import Mask
from sanity.pruning.ticket import expand
from sanity.store import Entry


def mask_of(pruned: Entry) -> Mask:
    """The mask that a prune stage left."""
    return pruned.tensors("mask")


def final_weights(trained: Entry, pruned: Entry | None) -> dict[str, Tensor]:
    """A trained network's state dict; of a ticket, by the mask it was ``pruned`` with, 0s too."""
    weights = trained.tensors("final")
    return weights if pruned is None else expand(weights, mask_of(pruned))
