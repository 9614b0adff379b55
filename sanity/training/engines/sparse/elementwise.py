"""What stands between convolutions: ReLU without a norm, max-pool, average, packing.

Memories are (floats, first, block, channel, row), see lanes.py. ``size`` is (C, H, W, lanes).
"""

# mypy: disable-error-code="assignment"
# numba keeps sums in float64 that float32 is added to; mypy takes them for two types.

import numpy as np

from sanity.training.engines.compiled import kernel
from sanity.training.engines.sparse.lanes import Array, Memory, Range, Size
from sanity.training.engines.sparse.normalisation import place
from sanity.training.engines.sparse.pixels import (
    ALL_LANES,
    LANES,
    equal,
    larger,
    pixel,
    within,
    write,
)


@kernel
def pack(images: Array, x: Memory, size: Size, blocks: Range, count: int) -> None:
    """x = images [N, C, H, W] as blocks of lanes; lanes without an image are 0."""
    channels, height, width, lanes = size
    for block in range(blocks[0], blocks[1]):
        for c in range(channels):
            for h in range(height):
                at = place(x, block, c, h)
                for lane in range(lanes):
                    n = block * lanes + lane
                    if n < count:
                        for w in range(width):
                            x[0][at + w * lanes + lane] = images[n, c, h, w]
                    else:
                        for w in range(width):
                            x[0][at + w * lanes + lane] = np.float32(0)


@kernel
def rectify(
    y: Memory, r: Memory, z: Memory, size: Size, blocks: Range, form: tuple[bool, ...]
) -> None:
    """z = relu(y + r); ``form``: whether there is a ReLU, an r."""
    channels, height, width, lanes = size
    length = width * lanes
    with_relu, with_r = form
    zero = np.float32(0)
    for block in range(blocks[0], blocks[1]):
        for c in range(channels):
            for h in range(height):
                a, b = place(y, block, c, h), place(z, block, c, h)
                source, target = y[0][a : a + length], z[0][b : b + length]
                if with_r:
                    a = place(r, block, c, h)
                    other = r[0][a : a + length]
                    for t in range(length):
                        target[t] = source[t] + other[t]
                else:
                    target[:] = source
                if with_relu:
                    for t in range(length):
                        target[t] = target[t] if target[t] > zero else zero


@kernel
def rectify_back(
    z: Memory, d: Memory, dy: Memory, dr: Memory, size: Size, blocks: Range, form: tuple[bool, ...]
) -> None:
    """dy = dr = d where z > 0; ``form``: as in denormalise."""
    channels, height, width, lanes = size
    length = width * lanes
    with_relu, with_r, adds, y_adds = form
    zero = np.float32(0)
    for block in range(blocks[0], blocks[1]):
        for c in range(channels):
            for h in range(height):
                a, b = place(d, block, c, h), place(dy, block, c, h)
                gradient, target = d[0][a : a + length], dy[0][b : b + length]
                a = place(z, block, c, h)
                result = z[0][a : a + length]
                for t in range(length):
                    g = gradient[t] if result[t] > zero or not with_relu else zero
                    target[t] = g + (target[t] if y_adds else zero)
                if with_r:
                    a = place(dr, block, c, h)
                    other = dr[0][a : a + length]
                    for t in range(length):
                        g = gradient[t] if result[t] > zero or not with_relu else zero
                        other[t] = g + (other[t] if adds else zero)


@kernel
def max_pool(x: Memory, z: Memory, size: Size, blocks: Range, window: int) -> None:
    """z = the largest x of each window x window pixels; ``size`` is that of z."""
    channels, height, width, _ = size
    for block in range(blocks[0], blocks[1]):
        for c in range(channels):
            for h in range(height):
                a, b = place(x, block, c, h * window), place(z, block, c, h)
                for w in range(width):
                    best = pixel(x[0], a + w * window * LANES)
                    for i in range(window):
                        for j in range(window):
                            at = a + i * x[4] + (w * window + j) * LANES
                            best = larger(best, pixel(x[0], at))
                    write(best, z[0], b + w * LANES)


@kernel
def max_pool_back(
    x: Memory, z: Memory, d: Memory, dx: Memory, size: Size, blocks: Range, window: int, adds: bool
) -> None:
    """dx = d at the first of the largest pixels of each window, 0 at all others.

    ``size`` is that of x, whose last rows and columns may be in no window.
    """
    channels, height, width, _ = size
    rows, columns = height // window, width // window
    for block in range(blocks[0], blocks[1]):
        for c in range(channels):
            for h in range(rows):
                a, f = place(x, block, c, h * window), place(dx, block, c, h * window)
                b, e = place(z, block, c, h), place(d, block, c, h)
                for w in range(columns):
                    best, g = pixel(z[0], b + w * LANES), pixel(d[0], e + w * LANES)
                    left = ALL_LANES
                    for i in range(window):
                        for j in range(window):
                            right = (w * window + j) * LANES
                            first = np.uint16(left & equal(best, pixel(x[0], a + i * x[4] + right)))
                            left = np.uint16(left & ~first)
                            share, at = within(first, g), f + i * dx[4] + right
                            if adds:
                                share = share + pixel(dx[0], at)
                            write(share, dx[0], at)
            if not adds and (rows * window < height or columns * window < width):
                for h in range(height):
                    f = place(dx, block, c, h)
                    begin = columns * window if h < rows * window else 0
                    dx[0][f + begin * LANES : f + width * LANES] = np.float32(0)


@kernel
def average(x: Memory, z: Memory, size: Size, blocks: Range) -> None:
    """z = the mean of x over its pixels; ``size`` is that of x."""
    channels, height, width, lanes = size
    share = np.float32(1.0 / (height * width))
    for block in range(blocks[0], blocks[1]):
        for c in range(channels):
            b = place(z, block, c, 0)
            target = z[0][b : b + lanes]
            target[:] = np.float32(0)
            for h in range(height):
                a = place(x, block, c, h)
                for w in range(width):
                    source = x[0][a + w * lanes : a + (w + 1) * lanes]
                    for t in range(lanes):
                        target[t] += source[t]
            for t in range(lanes):
                target[t] *= share


@kernel
def average_back(d: Memory, dx: Memory, size: Size, blocks: Range, adds: bool) -> None:
    """dx = d / (H W) at every pixel; ``size`` is that of dx."""
    channels, height, width, lanes = size
    share, zero = np.float32(1.0 / (height * width)), np.float32(0)
    for block in range(blocks[0], blocks[1]):
        for c in range(channels):
            b = place(d, block, c, 0)
            gradient = d[0][b : b + lanes]
            for h in range(height):
                a = place(dx, block, c, h)
                for w in range(width):
                    target = dx[0][a + w * lanes : a + (w + 1) * lanes]
                    for t in range(lanes):
                        target[t] = gradient[t] * share + (target[t] if adds else zero)


@kernel
def channel_sums(g: Memory, size: Size, blocks: Range, sums: Array) -> None:
    """sums[block, c] = sum of g over pixels and lanes."""
    channels, height, width, lanes = size
    length = width * lanes
    for block in range(blocks[0], blocks[1]):
        for c in range(channels):
            total = 0.0
            for h in range(height):
                a = place(g, block, c, h)
                s = np.float32(0)
                for t in range(length):
                    s += g[0][a + t]
                total += s
            sums[block, c] = total
