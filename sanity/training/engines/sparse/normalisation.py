"""Batch norm, shortcut and ReLU: two passes over a channel, the second of which finds it in cache.

Memories are (floats, first, block, channel, row), see lanes.py. ``size`` is (C, H, W, lanes), and
``channels`` are the first channel and the one behind the last. Of block ``valid[0]``, which is the
last, only the first ``valid[1]`` lanes are images; of those before it all. ``active`` [blocks, C,
H, W] has the lanes in which the ReLU lets a pixel pass, a bit each: on the way back that is less to
read than its result.
"""

# mypy: disable-error-code="assignment, return-value"
# numba keeps sums in float64 that float32 is added to; mypy takes them for two types.

import math
from typing import Any

import numpy as np

from sanity.training.engines.compiled import kernel
from sanity.training.engines.sparse.lanes import Array, Memory, Range, Size
from sanity.training.engines.sparse.pixels import (
    ALL_LANES,
    LANES,
    every_lane,
    pixel,
    positive,
    total,
    within,
    write,
)

CHAIN = 32
"""Pixels that are summed up in float32; sums of sums are float64."""


@kernel
def place(memory: Memory, block: int, channel: int, row: int) -> int:
    """Where in memory a row of a channel of a block begins."""
    return memory[1] + block * memory[2] + channel * memory[3] + row * memory[4]


@kernel
def _images(valid: Range, block: int) -> Any:
    """The lanes of a block that are images."""
    return np.uint16((1 << valid[1]) - 1) if block == valid[0] else ALL_LANES


@kernel
def _moments(y: Memory, size: Size, valid: Range, block: int, c: int) -> tuple[float, float, float]:
    """Of a block's channel: how many values, their mean, their squares around it summed up.

    One pass: squares are summed around the mean of the first row, which is near enough.
    """
    _, height, width, _ = size
    floats, images, zero = y[0], _images(valid, block), every_lane(np.float32(0))
    count = valid[1] if block == valid[0] else LANES
    at, first = place(y, block, c, 0), zero
    for w in range(width):
        first = first + within(images, pixel(floats, at + w * LANES))
    pivot = total(first) / np.float32(width * count)
    pivots = every_lane(pivot)
    sums, squares = 0.0, 0.0
    s, q = zero, zero
    rows = max(1, CHAIN // width)
    for h in range(height):
        at = place(y, block, c, h)
        for w in range(width):
            d = within(images, pixel(floats, at + w * LANES) - pivots)
            s, q = s + d, q + d * d
        if (h + 1) % rows == 0 or h + 1 == height:
            sums += total(s)
            squares += total(q)
            s, q = zero, zero
    n = float(height * width * count)
    return n, pivot + sums / n, squares - sums * sums / n


@kernel
def normalise(
    y: Memory,
    r: Memory,
    z: Memory,
    active: Array,
    size: Size,
    channels: Range,
    valid: Range,
    gamma: Array,
    beta: Array,
    eps: float,
    saved: Array,
    running: tuple[Array, Array],
    momentum: float,
    form: tuple[bool, ...],
) -> None:
    """z = relu(gamma (y - mean) / sqrt(var + eps) + beta + r); ``form``: whether relu, whether r.

    Statistics of blocks are merged in their order (Chan et al. 1983). ``saved`` [2, C] gets mean
    and 1 / sqrt(var + eps) for the way back; ``running`` are running mean and variance [C].
    """
    _, height, width, _ = size
    with_relu, with_r = form
    for c in range(channels[0], channels[1]):
        mean, square, count = 0.0, 0.0, 0.0
        for block in range(valid[0] + 1):
            n, block_mean, block_square = _moments(y, size, valid, block, c)
            delta = block_mean - mean
            count += n
            mean += delta * n / count
            square += block_square + delta * delta * (count - n) * n / count
        inverse = 1.0 / math.sqrt(square / count + eps)
        saved[0, c], saved[1, c] = mean, inverse
        running[0][c] += momentum * (mean - running[0][c])
        running[1][c] += momentum * (square / (count - 1.0) - running[1][c])
        pivot, scale = np.float32(mean), every_lane(np.float32(gamma[c] * inverse))
        shift = every_lane(np.float32(beta[c] - (mean - pivot) * gamma[c] * inverse))
        pivots = every_lane(pivot)
        for block in range(valid[0] + 1):
            for h in range(height):
                a, b, e = place(y, block, c, h), place(z, block, c, h), place(r, block, c, h)
                passed = active[block, c, h]
                for w in range(width):
                    u = (pixel(y[0], a + w * LANES) - pivots) * scale + shift
                    if with_r:
                        u = u + pixel(r[0], e + w * LANES)
                    if with_relu:
                        lanes = positive(u)
                        passed[w] = lanes
                        u = within(lanes, u)
                    write(u, z[0], b + w * LANES)


@kernel
def _sums(
    y: Memory, d: Memory, active: Array, size: Size, block: int, c: int, pivot: float, relu: bool
) -> tuple[float, float]:
    """Sum of g and of g (y - pivot) over a block's channel; g = d where the ReLU let pass.

    Lanes without an image have d = 0.
    """
    _, height, width, _ = size
    pivots, zero = every_lane(np.float32(pivot)), every_lane(np.float32(0))
    sums, products = 0.0, 0.0
    s, q = zero, zero
    rows = max(1, CHAIN // width)
    for h in range(height):
        a, b, passed = place(y, block, c, h), place(d, block, c, h), active[block, c, h]
        for w in range(width):
            g = pixel(d[0], b + w * LANES)
            if relu:
                g = within(passed[w], g)
            s = s + g
            q = q + g * (pixel(y[0], a + w * LANES) - pivots)
        if (h + 1) % rows == 0 or h + 1 == height:
            sums += total(s)
            products += total(q)
            s, q = zero, zero
    return sums, products


@kernel
def denormalise(
    y: Memory,
    d: Memory,
    dy: Memory,
    dr: Memory,
    active: Array,
    size: Size,
    channels: Range,
    valid: Range,
    gamma: Array,
    saved: Array,
    d_gamma: Array,
    d_beta: Array,
    form: tuple[bool, ...],
) -> None:
    """The gradients with respect to y and r, of gamma and beta; dy is 0 in lanes without an image.

    dy = gamma / sqrt(var + eps) (g - mean(g) - (y - mean) mean(g (y - mean)) / (var + eps)).
    ``form``: whether there was a ReLU, an r, whether dr and dy are added to; dy may lie where d
    does. The mean is rounded to float32 for passes over memory; what that takes away is made good
    in the sums.
    """
    _, height, width, _ = size
    with_relu, with_r, adds_r, adds_y = form
    count = float(height * width) * (valid[0] * LANES + valid[1])
    for c in range(channels[0], channels[1]):
        pivot, inverse = np.float32(saved[0, c]), saved[1, c]
        lost = saved[0, c] - pivot
        sums, products = 0.0, 0.0
        for block in range(valid[0] + 1):
            s, q = _sums(y, d, active, size, block, c, pivot, with_relu)
            sums += s
            products += q
        products -= sums * lost
        d_gamma[c], d_beta[c] = products * inverse, sums
        slope = products * inverse * inverse / count
        scale, pivots = every_lane(np.float32(gamma[c] * inverse)), every_lane(pivot)
        k1 = every_lane(np.float32(sums / count - slope * lost))
        k2 = every_lane(np.float32(slope))
        for block in range(valid[0] + 1):
            images = _images(valid, block)
            for h in range(height):
                a, b, passed = place(y, block, c, h), place(d, block, c, h), active[block, c, h]
                to, e = place(dy, block, c, h), place(dr, block, c, h)
                for w in range(width):
                    g = pixel(d[0], b + w * LANES)
                    if with_relu:
                        g = within(passed[w], g)
                    if with_r:
                        other = g
                        if adds_r:
                            other = g + pixel(dr[0], e + w * LANES)
                        write(other, dr[0], e + w * LANES)
                    g = scale * (g - k1 - (pixel(y[0], a + w * LANES) - pivots) * k2)
                    g = within(images, g)
                    if adds_y:
                        g = g + pixel(dy[0], to + w * LANES)
                    write(g, dy[0], to + w * LANES)
