"""Names for what flows between the stages: a round of pruning, a trained network."""

from dataclasses import dataclass

from torch import Tensor

from sanity.masks import Mask
from sanity.store import Entry
from sanity.ticket import expand


@dataclass(frozen=True)
class Round:
    """The ``number``-th of ``total`` rounds of pruning and training; one-shot pruners have one."""

    number: int
    total: int

    @property
    def last(self) -> bool:
        return self.number == self.total

    @property
    def progress(self) -> tuple[float, float]:
        """The stretch of the way from dense to the final sparsity that this round covers."""
        return (self.number - 1) / self.total, self.number / self.total

    def stream(self, name: str) -> tuple[str | int, ...]:
        """A random stream of this round; one-shot pruning's has no number."""
        return (name,) if self.total == 1 else (name, self.number)

    def name(self, stage: str) -> str:
        """The stage's name in the record: plain in the last round, numbered before it."""
        return stage if self.last else f"{stage}_{self.number}"


@dataclass(frozen=True)
class Trained:
    """A trained network in the store: dense, or a ticket and the mask it was trained under."""

    entry: Entry
    pruned: Entry | None = None

    @property
    def key(self) -> str:
        return self.entry.key

    def weights(self) -> dict[str, Tensor]:
        """Its final state dict, with pruned weights at 0."""
        if self.pruned is None:
            return self.entry.tensors("final")
        return expand(self.entry.tensors("final"), mask_of(self.pruned))


def mask_of(pruned: Entry) -> Mask:
    """The mask that a prune stage left."""
    return pruned.tensors("mask")
