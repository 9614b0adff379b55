"""Convolutions that compute at kept weights only.

Memories are (floats, first, block, channel, row), see lanes.py. ``taps`` are (starts, offsets,
values), see taps.py; ``tiles`` the shapes of a tile of inputs and one of outputs, see vectors.py.
"""

import numpy as np

from sanity.training.engines.compiled import kernel
from sanity.training.engines.sparse.lanes import Array, Memory, Range, Size
from sanity.training.engines.sparse.vectors import Shape, add_dot, add_product, load, splat, store

Tiles = tuple[Shape, Shape]


@kernel
def convolve(
    x: Memory,
    y: Memory,
    size: Size,
    blocks: Range,
    taps: tuple[Array, Array, Array],
    bias: Array,
    adds: bool,
    tiles: Tiles,
) -> None:
    """y[n, o, h, w] = bias[o] + the sum of value times x at its offset from (n, h, w), over taps.

    ``size`` is (O, H, W) of y, which is added to where it ``adds``.
    """
    source, x_first, x_block, _, x_row = x
    target, y_first, y_block, y_channel, y_row = y
    starts, offsets, values = taps
    channels, height, width = size
    inner, outer = tiles
    depth, rows, columns = len(inner[0]), len(inner[1]), len(inner[2])
    x_step, y_step = len(inner[3]) * len(inner[4]), len(outer[3]) * len(outer[4])
    for block in range(blocks[0], blocks[1], depth):
        for h in range(0, height, rows):
            for o in range(channels):
                for w in range(0, width, columns):
                    at = y_first + block * y_block + o * y_channel + h * y_row + w * y_step
                    base = x_first + block * x_block + h * x_row + w * x_step
                    if adds:
                        pixels = load(target, at, y_block, y_row, outer)
                    else:
                        pixels = splat(bias[o], outer)
                    for z in range(starts[o], starts[o + 1]):
                        pixels = add_product(
                            pixels, values[z], source, base + offsets[z], x_block, x_row, inner
                        )
                    store(pixels, target, at, y_block, y_row, outer)


@kernel
def weight_gradient(
    x: Memory,
    g: Memory,
    size: Size,
    blocks: Range,
    taps: tuple[Array, Array, Array],
    scratch: Array,
    found: Array,
    tiles: Tiles,
) -> None:
    """found[block, z] = the sum of g[n, o, h, w] times x at tap z's offset, over n, h and w.

    ``size`` is (O, H, W) of g; ``scratch`` has room for a vector a tap.
    """
    source, x_first, x_block, _, x_row = x
    gradient, g_first, g_block, g_channel, g_row = g
    starts, offsets, _ = taps
    channels, height, width = size
    inner, outer = tiles
    rows, columns, lanes = len(inner[1]), len(inner[2]), len(inner[3])
    x_step, g_step = lanes * len(inner[4]), lanes
    count = starts[channels]
    for block in range(blocks[0], blocks[1]):
        scratch[: count * lanes] = np.float32(0)
        for h in range(0, height, rows):
            for o in range(channels):
                if starts[o] == starts[o + 1]:
                    continue
                for w in range(0, width, columns):
                    at = g_first + block * g_block + o * g_channel + h * g_row + w * g_step
                    base = x_first + block * x_block + h * x_row + w * x_step
                    pixels = load(gradient, at, g_block, g_row, outer)
                    for z in range(starts[o], starts[o + 1]):
                        place = base + offsets[z]
                        add_dot(pixels, source, place, x_block, x_row, scratch, z * lanes, inner)
        for z in range(count):
            total = np.float32(0)
            for lane in range(lanes):
                total += scratch[z * lanes + lane]
            found[block, z] = total
