"""Convolutions that compute at kept weights only.

Weights are compact: those of output o are ``values[starts[o]:starts[o + 1]]``, and ``offsets`` say
where in memory the pixel lies that each is multiplied with, seen from the output's own.
"""

import numpy as np

from sanity.training.engines.sparse.compiled import kernel
from sanity.training.engines.sparse.lanes import Array, Memory, Range, Size
from sanity.training.engines.sparse.vectors import Shape, add_dot, add_product, load, splat, store


@kernel
def convolve(
    x: Memory,
    y: Memory,
    size: Size,
    blocks: Range,
    starts: Array,
    offsets: Array,
    values: Array,
    bias: Array,
    accumulate: bool,
    shape: Shape,
    out: Shape,
) -> None:
    """y[n, o, h, w] = bias[o] + sum over kept (c, a, b) of w[o, c, a, b] x[n, c, sh + a, sw + b].

    ``x`` and ``y`` are (memory, first, block, channel, row): where pixel 0 lies and the strides.
    ``accumulate`` adds to what is in y. ``size`` is (O, H, W), ``blocks`` (first, end).
    """
    source, x_first, x_block, _, x_row = x
    target, y_first, y_block, y_channel, y_row = y
    channels, height, width = size
    depth, rows, columns = len(shape[0]), len(shape[1]), len(shape[2])
    x_step, y_step = len(shape[3]) * len(shape[4]), len(out[3]) * len(out[4])
    for block in range(blocks[0], blocks[1], depth):
        for h in range(0, height, rows):
            for o in range(channels):
                for w in range(0, width, columns):
                    at = y_first + block * y_block + o * y_channel + h * y_row + w * y_step
                    base = x_first + block * x_block + h * x_row + w * x_step
                    if accumulate:
                        pixels = load(target, at, y_block, y_row, out)
                    else:
                        pixels = splat(bias[o], out)
                    for z in range(starts[o], starts[o + 1]):
                        pixels = add_product(
                            pixels, values[z], source, base + offsets[z], x_block, x_row, shape
                        )
                    store(pixels, target, at, y_block, y_row, out)


@kernel
def weight_gradient(
    x: Memory,
    g: Memory,
    size: Size,
    blocks: Range,
    starts: Array,
    offsets: Array,
    lanes: Array,
    found: Array,
    shape: Shape,
    out: Shape,
) -> None:
    """found[block, z] = sum over n in block, h, w of g[n, o, h, w] x[n, c, sh + a, sw + b].

    For every kept weight z = (o, c, a, b); ``lanes`` is scratch memory of a vector a weight.
    """
    source, x_first, x_block, _, x_row = x
    gradient, g_first, g_block, g_channel, g_row = g
    channels, height, width = size
    depth, rows, columns = len(shape[0]), len(shape[1]), len(shape[2])
    count = len(shape[3])
    x_step, g_step = count * len(shape[4]), len(out[3]) * len(out[4])
    for block in range(blocks[0], blocks[1], depth):
        lanes[: starts[channels] * count] = np.float32(0)
        for h in range(0, height, rows):
            for o in range(channels):
                if starts[o] == starts[o + 1]:
                    continue
                for w in range(0, width, columns):
                    at = g_first + block * g_block + o * g_channel + h * g_row + w * g_step
                    base = x_first + block * x_block + h * x_row + w * x_step
                    pixels = load(gradient, at, g_block, g_row, out)
                    for z in range(starts[o], starts[o + 1]):
                        add_dot(
                            pixels,
                            source,
                            base + offsets[z],
                            x_block,
                            x_row,
                            lanes,
                            z * count,
                            shape,
                        )
        for z in range(starts[channels]):
            total = np.float32(0)
            for lane in range(count):
                total += lanes[z * count + lane]
            found[block, z] = total
        for extra in range(1, depth):
            found[block + extra, : starts[channels]] = np.float32(0)
