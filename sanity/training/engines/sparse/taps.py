"""The kept weights of a convolution in the orders in which kernels pass by them.

A *tap* is a pixel that is multiplied: an input channel, a row and a column from the output at hand.
Where hardly a weight is pruned, taps are those of a *group* of output channels, which are computed
together: a pixel is loaded once for all of them, and weights that are pruned count as zeros.

Taps come in *rounds* over the input channels, as few of them at a time as the first cache holds.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sanity.training.engines.compiled import cpu
from sanity.training.engines.program import Convolution
from sanity.training.engines.sparse.lanes import Array, Form, offsets
from sanity.training.engines.sparse.parameters import Kept
from sanity.training.engines.sparse.vectors import Shape, shape

NEAR = 24 * 1024
"""Bytes of inputs, and of sums, that stay in the first cache: about half of one each."""

FLOAT = np.dtype(np.float32).itemsize

FEW = 16
"""Taps of an output and round: fewer of them do not pay for loading and storing the output."""

WASTE = 1.4
"""Products of a group to those of its kept weights, up to which it is computed as one: it takes
that much less time for each, as measured."""


@dataclass(frozen=True)
class Taps:
    """Weights by the channels whose pixels they add to.

    ``segments`` [S, 4] are, in their order: the first output channel of a group, its first tap and
    the one behind the last, and whether it is the group's first segment, which begins with the bias
    where a kernel does not add. A tap z lies ``offsets[z]`` floats from the pixel at hand;
    ``places[z, k]`` says where the weight for the group's k-th channel stands in the vector of
    parameters, -1 for none. ``rounds`` are the numbers of the segments at which weight gradients
    begin anew. ``rows`` and ``columns`` are those of the tiles of outputs.
    """

    segments: Array
    rounds: Array
    offsets: Array
    places: Array
    rows: int
    columns: int

    def __len__(self) -> int:
        return len(self.offsets)

    @property
    def group(self) -> int:
        """How many output channels are computed together."""
        return int(self.places.shape[1])

    @property
    def longest(self) -> int:
        """Weights of the longest round, places of -1 included."""
        taps = self.segments[self.rounds[1:] - 1, 2] - self.segments[self.rounds[:-1], 1]
        return int(max(taps)) * self.group

    def tiles(self, inner: int = 1, outer: int = 1) -> tuple[Shape, Shape]:
        """The shapes of a tile of inputs and of outputs, whose pixels lie ``inner`` and ``outer``
        pixels apart in memory."""
        area, lanes = (self.rows, self.columns), cpu().lanes
        return shape(1, *area, lanes, inner), shape(self.group, *area, lanes, outer)


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


@dataclass(frozen=True)
class _Weights:
    """Kept weights: what channel they add to (``target``, of ``targets``), the channel and the
    offset of what they are multiplied with (``source``, of ``sources``), and their ``places``."""

    target: Array
    targets: int
    source: Array
    sources: int
    offset: Array
    places: Array


def forward(layer: Convolution, kept: Kept, x: Form) -> Taps:
    """For y[n, o, h, w] = sum of w[o, c, a, b] x[n, c, s h + a - p, s w + b - p]."""
    o, c, a, b = kept.indices
    found = offsets(x, cpu().lanes, c, a - layer.padding, b - layer.padding)
    places = kept.place + np.arange(kept.count)
    weights = _Weights(o, layer.y.channels, c, layer.x.channels, found, places)
    return _arrange(weights, layer.y.height, layer.y.width, layer.kernel, layer.stride)


def backward(layer: Convolution, kept: Kept, g: Form) -> Iterator[Phase]:
    """For dx[n, c, i, j] = sum of w[o, c, a, b] g[n, o, (i + p - a) / s, (j + p - b) / s].

    Over all a and b by which this is a whole pixel: which they are depends on i and j modulo s.
    """
    o, c, a, b = kept.indices
    stride, padding = layer.stride, layer.padding
    for down in range(min(stride, layer.x.height)):
        for right in range(min(stride, layer.x.width)):
            rows, columns = down + padding - a, right + padding - b
            chosen = np.flatnonzero((rows % stride == 0) & (columns % stride == 0))
            rows, columns = rows[chosen] // stride, columns[chosen] // stride
            height, width = (
                -(-(side - first) // stride)
                for side, first in ((layer.x.height, down), (layer.x.width, right))
            )
            found = offsets(g, cpu().lanes, o[chosen], rows, columns)
            weights = _Weights(
                c[chosen], layer.x.channels, o[chosen], layer.y.channels, found, kept.place + chosen
            )
            reach = -(-layer.kernel[0] // stride), -(-layer.kernel[1] // stride)
            yield Phase(down, right, height, width, _arrange(weights, height, width, reach, 1))


def _arrange(
    weights: _Weights, height: int, width: int, reach: tuple[int, ...], stride: int
) -> Taps:
    """Taps for outputs of ``height`` x ``width``, each of which sees ``reach`` rows and columns of
    inputs, ``stride`` from those of the next."""
    group = _group(weights)
    rows, columns = _tile(height, width, cpu().pixels // group)
    seen = [(side - 1) * stride + far for side, far in zip((rows, columns), reach, strict=True)]
    # The gradient has sums for a whole group beside the inputs: the fewer of these at a time.
    channels = max(1, NEAR // group // (seen[0] * seen[1] * cpu().lanes * FLOAT))
    groups = weights.targets // group
    most = max(1, len(weights.offset) // (groups * group * FEW))
    count = min(most, -(-weights.sources // channels))
    part = weights.source // -(-weights.sources // count) * groups + weights.target // group
    order = np.lexsort((weights.offset, part))
    part, offset = part[order], weights.offset[order]
    fresh = np.ones(len(order), bool)
    fresh[1:] = (part[1:] != part[:-1]) | (offset[1:] != offset[:-1])
    places = np.full((fresh.sum(), group), -1)
    places[fresh.cumsum() - 1, weights.target[order] % group] = weights.places[order]
    # All groups have a segment in the first round, be it empty: who adds to them begins with it.
    known = np.union1d(np.arange(groups), part)
    ends = [np.searchsorted(part[fresh], known, side) for side in ("left", "right")]
    segments = np.stack([known % groups * group, *ends, known < groups], 1)
    rounds = _rounds(known // groups, (ends[1] - ends[0]) * group)
    return Taps(segments, rounds, offset[fresh], places, rows, columns)


def _rounds(number: Array, weights: Array) -> Array:
    """Where segments begin anew: with another part of the inputs, and where the sums for their
    weights would no longer stay in the first cache."""
    most, found, held = NEAR // (cpu().lanes * FLOAT), [0], 0
    for s, count in enumerate(weights.tolist()):
        if s and (number[s] != number[s - 1] or held + count > most):
            found.append(s)
            held = 0
        held += count
    return np.array([*found, len(weights)])


def _group(weights: _Weights) -> int:
    """How many output channels to compute together: as many as registers allow, or one."""
    group = cpu().group
    if weights.targets % group:
        return 1
    taps = np.unique(np.stack([weights.target // group, weights.offset]), axis=1).shape[1]
    return group if taps * group <= WASTE * len(weights.offset) else 1


def _tile(height: int, width: int, pixels: int) -> tuple[int, int]:
    """Rows and columns of the tiles of up to ``pixels`` that fill ``height`` x ``width``."""
    columns = _divisor(width, pixels)
    return _divisor(height, pixels // columns) if columns == width else 1, columns


def _divisor(number: int, most: int) -> int:
    """The largest divisor up to ``most``."""
    return next(one for one in range(max(1, min(number, most)), 0, -1) if number % one == 0)
