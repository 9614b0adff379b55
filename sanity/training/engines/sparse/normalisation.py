"""Batch norm, shortcut and ReLU: two passes over a channel, the second of which finds it in cache.

Memories are (floats, first, block, channel, row), see lanes.py. ``size`` is (C, H, W, lanes), and
``channels`` are the first channel and the one behind the last. Of block ``valid[0]``, which is the
last, only the first ``valid[1]`` lanes are images; of those before it all.
"""

# mypy: disable-error-code="assignment, return-value"
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
def _moments(y: Memory, size: Size, valid: Range, block: int, c: int) -> tuple[float, float, float]:
    """Of a block's channel: how many values, their mean, their squares around it summed up.

    One pass: squares are summed around the mean of the first row, which is near enough.
    """
    _, height, width, lanes = size
    floats, length = y[0], width * lanes
    images = valid[1] if block == valid[0] else lanes
    at, pivot = place(y, block, c, 0), np.float32(0)
    for w in range(width):
        for lane in range(images):
            pivot += floats[at + w * lanes + lane]
    pivot /= np.float32(width * images)
    total, square = 0.0, 0.0
    for h in range(height):
        at = place(y, block, c, h)
        row = floats[at : at + length]
        s, q = np.float32(0), np.float32(0)
        if images == lanes:
            for t in range(length):
                d = row[t] - pivot
                s += d
                q += d * d
        else:
            for w in range(width):
                for lane in range(images):
                    d = row[w * lanes + lane] - pivot
                    s += d
                    q += d * d
        total += s
        square += q
    count = float(height * width * images)
    return count, pivot + total / count, square - total * total / count


@kernel
def normalise(
    y: Memory,
    r: Memory,
    z: Memory,
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
    _, height, width, lanes = size
    length = width * lanes
    with_relu, with_r = form
    zero = np.float32(0)
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
        scale, pivot = np.float32(gamma[c] * inverse), np.float32(mean)
        shift = np.float32(beta[c] - (mean - pivot) * gamma[c] * inverse)
        for block in range(valid[0] + 1):
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
def _sums(
    y: Memory, z: Memory, d: Memory, size: Size, block: int, c: int, pivot: float, with_relu: bool
) -> tuple[float, float]:
    """Sum of g and of g (y - pivot) over a block's channel; g = d where z > 0.

    Lanes without an image have d = 0.
    """
    _, height, width, lanes = size
    length = width * lanes
    zero = np.float32(0)
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
    return total, product


@kernel
def denormalise(
    y: Memory,
    z: Memory,
    d: Memory,
    dy: Memory,
    dr: Memory,
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
    ``form``: whether there was a ReLU, an r, whether dr and dy are added to. The mean is rounded
    to float32 for passes over memory; what that takes away is made good in the sums.
    """
    _, height, width, lanes = size
    length = width * lanes
    with_relu, with_r, adds_r, adds_y = form
    zero = np.float32(0)
    g = np.empty(length, np.float32)
    count = float(height * width) * (valid[0] * lanes + valid[1])
    for c in range(channels[0], channels[1]):
        pivot, inverse = np.float32(saved[0, c]), saved[1, c]
        lost = saved[0, c] - pivot
        total, product = 0.0, 0.0
        for block in range(valid[0] + 1):
            s, q = _sums(y, z, d, size, block, c, pivot, with_relu)
            total += s
            product += q
        product -= total * lost
        d_gamma[c], d_beta[c] = product * inverse, total
        scale, slope = np.float32(gamma[c] * inverse), product * inverse * inverse / count
        k1, k2 = np.float32(total / count - slope * lost), np.float32(slope)
        for block in range(valid[0] + 1):
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
