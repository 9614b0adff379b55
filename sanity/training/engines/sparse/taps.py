"""The kept weights of a convolution in the orders in which kernels pass by them."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sanity.training.engines.program import Convolution
from sanity.training.engines.sparse.lanes import Array, Form, offsets
from sanity.training.engines.sparse.parameters import Kept


@dataclass(frozen=True)
class Taps:
    """Weights by the channel whose pixels they add to.

    Those of channel o are ``starts[o]`` up to ``starts[o + 1]``: each is multiplied with the pixel
    that lies ``offsets`` floats from the one at hand. ``places`` say where weights stand in the
    vector of parameters.
    """

    starts: Array
    offsets: Array
    places: Array

    def __len__(self) -> int:
        return len(self.places)


@dataclass(frozen=True)
class Phase:
    """Pixels of an input whose gradients take the same weights: each ``stride``-th both ways.

    ``down`` and ``right`` are the first one's row and column, ``height`` and ``width`` how many
    they are.
    """

    down: int
    right: int
    height: int
    width: int
    taps: Taps


def forward(layer: Convolution, kept: Kept, x: Form, lanes: int) -> Taps:
    """For y[n, o, h, w] = sum of w[o, c, a, b] x[n, c, s h + a - p, s w + b - p]."""
    o, c, a, b = kept.indices
    starts = np.searchsorted(o, np.arange(layer.y.channels + 1))
    found = offsets(x, lanes, c, a - layer.padding, b - layer.padding)
    return Taps(starts, found, kept.place + np.arange(kept.count))


def backward(layer: Convolution, kept: Kept, g: Form, lanes: int) -> Iterator[Phase]:
    """For dx[n, c, i, j] = sum of w[o, c, a, b] g[n, o, (i + p - a) / s, (j + p - b) / s].

    Over all a and b by which this is a whole pixel: which they are depends on i and j modulo s.
    """
    o, c, a, b = kept.indices
    stride, padding = layer.stride, layer.padding
    for down in range(min(stride, layer.x.height)):
        for right in range(min(stride, layer.x.width)):
            rows, columns = down + padding - a, right + padding - b
            chosen = np.flatnonzero((rows % stride == 0) & (columns % stride == 0))
            keys = (-b[chosen], -a[chosen], o[chosen], c[chosen])  # the last one counts most
            chosen = chosen[np.lexsort(keys)]
            starts = np.searchsorted(c[chosen], np.arange(layer.x.channels + 1))
            rows, columns = rows[chosen] // stride, columns[chosen] // stride
            taps = Taps(starts, offsets(g, lanes, o[chosen], rows, columns), kept.place + chosen)
            height, width = (
                -(-(side - first) // stride)
                for side, first in ((layer.x.height, down), (layer.x.width, right))
            )
            yield Phase(down, right, height, width, taps)
