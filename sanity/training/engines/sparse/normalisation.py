"""Batch norm, shortcut and ReLU in one pass over memory; statistics of blocks, merged in order.

Memories are (floats, first, block, channel, row), see lanes.py. ``size`` is (C, H, W, lanes).
Of block ``valid[0]`` only the first ``valid[1]`` lanes are images, of those before it all.
"""

# mypy: disable-error-code="assignment"
# numba keeps sums in float64 that float32 is added to; mypy takes them for two types.

import math

import numpy as np

from sanity.training.engines.sparse.compiled import kernel
from sanity.training.engines.sparse.lanes import Array, Memory, Range, Size


@kernel
def place(memory: Memory, block: int, channel: int, row: int) -> int:
    """Where in memory a row of a channel of a block begins."""
    return memory[1] + block * memory[2] + channel * memory[3] + row * memory[4]


@kernel
def moments(
    y: Memory, size: Size, blocks: Range, valid: Range, means: Array, squares: Array
) -> None:
    """The mean of y and the sum of squares around it, by block and channel [blocks, C] (float64).

    One pass: squares are summed around the mean of the first row, which is near enough.
    """
    channels, height, width, lanes = size
    floats, length = y[0], width * lanes
    for block in range(blocks[0], blocks[1]):
        images = valid[1] if block == valid[0] else lanes
        for c in range(channels):
            at = place(y, block, c, 0)
            pivot = np.float32(0)
            if images == lanes:
                for t in range(length):
                    pivot += floats[at + t]
            else:
                for w in range(width):
                    for lane in range(images):
                        pivot += floats[at + w * lanes + lane]
            pivot /= np.float32(width * images)
            total, square = 0.0, 0.0
            for h in range(height):
                at = place(y, block, c, h)
                s, q = np.float32(0), np.float32(0)
                if images == lanes:
                    row = floats[at : at + length]
                    for t in range(length):
                        d = row[t] - pivot
                        s += d
                        q += d * d
                else:
                    for w in range(width):
                        for lane in range(images):
                            d = floats[at + w * lanes + lane] - pivot
                            s += d
                            q += d * d
                total += s
                square += q
            count = height * width * images
            means[block, c] = pivot + total / count
            squares[block, c] = square - total * total / count


@kernel
def _merged(
    means: Array, squares: Array, c: int, count: int, size: Size, valid: Range
) -> tuple[float, float, float]:
    """Mean and biased variance over all blocks (Chan et al. 1983), and how many values they are."""
    _, height, width, lanes = size
    mean, square, total = 0.0, 0.0, 0.0
    for block in range(count):
        images = valid[1] if block == valid[0] else lanes
        n = float(height * width * images)
        delta = means[block, c] - mean
        total += n
        mean += delta * n / total
        square += squares[block, c] + delta * delta * (total - n) * n / total
    return mean, square / total, total


@kernel
def normalise(
    y: Memory,
    r: Memory,
    z: Memory,
    size: Size,
    blocks: Range,
    valid: Range,
    means: Array,
    squares: Array,
    gamma: Array,
    beta: Array,
    eps: float,
    saved: Array,
    running: tuple[Array, Array],
    momentum: float,
    form: tuple[bool, ...],
) -> None:
    """z = relu(gamma (y - mean) / sqrt(var + eps) + beta + r); ``form``: whether relu, whether r.

    ``saved`` [2, C] gets mean and 1 / sqrt(var + eps) for the way back; ``running``, mean and
    variance [C] each, are moved by whoever has the first block.
    """
    channels, height, width, lanes = size
    length = width * lanes
    with_relu, with_r = form
    zero = np.float32(0)
    for c in range(channels):
        mean, var, total = _merged(means, squares, c, valid[0] + 1, size, valid)
        inverse = 1.0 / math.sqrt(var + eps)
        if blocks[0] == 0:
            saved[0, c], saved[1, c] = mean, inverse
            running[0][c] += momentum * (mean - running[0][c])
            unbiased = var * total / (total - 1.0)
            running[1][c] += momentum * (unbiased - running[1][c])
        scale, pivot = np.float32(gamma[c] * inverse), np.float32(mean)
        shift = np.float32(beta[c] - (mean - pivot) * gamma[c] * inverse)
        for block in range(blocks[0], blocks[1]):
            for h in range(height):
                a, b = place(y, block, c, h), place(z, block, c, h)
                source, target = y[0][a : a + length], z[0][b : b + length]
                if with_r:
                    a = place(r, block, c, h)
                    other = r[0][a : a + length]
                    if with_relu:
                        for t in range(length):
                            u = (source[t] - pivot) * scale + shift + other[t]
                            target[t] = u if u > zero else zero
                    else:
                        for t in range(length):
                            target[t] = (source[t] - pivot) * scale + shift + other[t]
                elif with_relu:
                    for t in range(length):
                        u = (source[t] - pivot) * scale + shift
                        target[t] = u if u > zero else zero
                else:
                    for t in range(length):
                        target[t] = (source[t] - pivot) * scale + shift


@kernel
def gradient_sums(
    y: Memory,
    z: Memory,
    d: Memory,
    size: Size,
    blocks: Range,
    saved: Array,
    sums: Array,
    with_relu: bool,
) -> None:
    """sums[0] = sum g, sums[1] = sum g (y - mean), by block and channel; g = d where z > 0.

    The mean is rounded to float32 here, and what that takes away made good later. Lanes without
    an image have d = 0.
    """
    channels, height, width, lanes = size
    length = width * lanes
    zero = np.float32(0)
    for c in range(channels):
        pivot = np.float32(saved[0, c])
        for block in range(blocks[0], blocks[1]):
            total, product = 0.0, 0.0
            for h in range(height):
                a, b = place(y, block, c, h), place(d, block, c, h)
                source, gradient = y[0][a : a + length], d[0][b : b + length]
                s, q = zero, zero
                if with_relu:
                    a = place(z, block, c, h)
                    result = z[0][a : a + length]
                    for t in range(length):
                        g = gradient[t] if result[t] > zero else zero
                        s += g
                        q += g * (source[t] - pivot)
                else:
                    for t in range(length):
                        s += gradient[t]
                        q += gradient[t] * (source[t] - pivot)
                total += s
                product += q
            sums[0, block, c], sums[1, block, c] = total, product


@kernel
def denormalise(
    y: Memory,
    z: Memory,
    d: Memory,
    dy: Memory,
    dr: Memory,
    size: Size,
    blocks: Range,
    valid: Range,
    gamma: Array,
    saved: Array,
    sums: Array,
    d_gamma: Array,
    d_beta: Array,
    form: tuple[bool, ...],
) -> None:
    """The gradients with respect to y and r, of gamma and beta; dy is 0 in lanes without an image.

    dy = gamma / sqrt(var + eps) (g - mean(g) - (y - mean) mean(g (y - mean)) / (var + eps)).
    ``form``: whether there was a ReLU, an r, whether dr and dy are added to.
    """
    channels, height, width, lanes = size
    length = width * lanes
    with_relu, with_r, adds_r, adds_y = form
    zero = np.float32(0)
    g = np.empty(length, np.float32)
    count = float(height * width) * (valid[0] * lanes + valid[1])
    for c in range(channels):
        total, product = 0.0, 0.0
        for block in range(valid[0] + 1):
            total += sums[0, block, c]
            product += sums[1, block, c]
        pivot, inverse = np.float32(saved[0, c]), saved[1, c]
        product -= total * (saved[0, c] - pivot)
        if blocks[0] == 0:
            d_gamma[c], d_beta[c] = product * inverse, total
        scale = np.float32(gamma[c] * inverse)
        slope = product * inverse * inverse / count
        k1 = np.float32(total / count - slope * (saved[0, c] - pivot))
        k2 = np.float32(slope)
        for block in range(blocks[0], blocks[1]):
            for h in range(height):
                a, b = place(y, block, c, h), place(dy, block, c, h)
                source, target = y[0][a : a + length], dy[0][b : b + length]
                a, b = place(d, block, c, h), place(z, block, c, h)
                gradient, result = d[0][a : a + length], z[0][b : b + length]
                if with_relu:
                    for t in range(length):
                        g[t] = gradient[t] if result[t] > zero else zero
                else:
                    g[:] = gradient
                if with_r:
                    a = place(dr, block, c, h)
                    other = dr[0][a : a + length]
                    if adds_r:
                        for t in range(length):
                            other[t] += g[t]
                    else:
                        other[:] = g
                for t in range(length):
                    g[t] = scale * (g[t] - k1 - (source[t] - pivot) * k2)
                if block == valid[0] and valid[1] < lanes:
                    for w in range(width):
                        g[w * lanes + valid[1] : (w + 1) * lanes] = zero
                if adds_y:
                    for t in range(length):
                        target[t] += g[t]
                else:
                    target[:] = g
