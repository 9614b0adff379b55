"""Which epochs of a recipe a training has, and in which order it sees its images."""

from dataclasses import dataclass

from sanity.training.recipe import Recipe


@dataclass(frozen=True)
class Schedule:
    """The epochs from ``start`` up to ``end`` (None: the recipe's last) of a recipe.

    ``seed`` decides the order and augmentation of the images. ``shuffle`` is 0 but for networks
    that go on from trained weights, which should not see the same batches in the same order again.
    """

    seed: int
    start: int = 0
    end: int | None = None
    shuffle: int = 0

    def end_of(self, recipe: Recipe) -> int:
        """The epoch before which it ends."""
        return recipe.epochs if self.end is None else self.end
