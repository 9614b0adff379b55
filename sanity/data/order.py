"""Orders and selections of examples that are the same on every machine and in every release."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


def fixed_order(count: int) -> Tensor:
    """A permutation of ``range(count)`` that never changes: the order data sets are packed in.

    It belongs to a data set, not to a run's chance. NumPy's legacy ``RandomState`` is used because
    its stream is frozen by NumPy's policy (NEP 19); no other library promises that.
    """
    return torch.from_numpy(np.random.RandomState(0).permutation(count).astype(np.int64))


def in_fixed_order(files: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
    """(name, class) pairs in that order."""
    return [files[i] for i in fixed_order(len(files)).tolist()]


def stratified(labels: Tensor, count: int, order: Tensor) -> Tensor:
    """The indices of ``count`` examples, each class by its share, in ascending order.

    Within a class those that come first in ``order`` (a permutation of all examples) are taken.
    Classes of equal size get equal numbers, but for a remainder that ``order`` deals out.
    """
    shuffled = labels[order]
    sizes = torch.bincount(labels)
    by_class = torch.argsort(shuffled, stable=True)
    starts = (sizes.cumsum(0) - sizes)[shuffled[by_class]]
    rank = torch.empty_like(labels)
    rank[by_class] = torch.arange(len(labels)) - starts
    # The i-th of m examples stands at (i + 1/2) / m of its class, so that a cut through all
    # classes at one height takes the same share of each.
    height = (rank + 0.5).double() / sizes[shuffled]
    return order[torch.argsort(height, stable=True)[:count]].sort().values
