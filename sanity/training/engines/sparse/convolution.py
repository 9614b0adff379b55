"""Convolutions that compute at kept weights only, and where hardly one is pruned, at all.

Memories are (floats, first, block, channel, row), see lanes.py. ``taps`` are (segments, rounds,
offsets, values), see taps.py; ``tiles`` the shapes of a tile of inputs and one of outputs, see
vectors.py.
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
    taps: tuple[Array, Array, Array, Array],
    bias: Array,
    adds: bool,
    tiles: Tiles,
) -> None:
    """y[n, o, h, w] = bias[o] + the sum of value times x at its offset from (n, h, w), over taps.

    ``size`` is (O, H, W) of y, which is added to where it ``adds``.
    """
    source, x_first, x_block, _, x_row = x
    target, y_first, y_block, y_channel, y_row = y
    segments, _, offsets, values = taps
    _, height, width = size
    inner, outer = tiles
    group, rows, columns = len(outer[0]), len(outer[1]), len(outer[2])
    x_step, y_step = len(inner[3]) * len(inner[4]), len(outer[3]) * len(outer[4])
    for block in range(blocks[0], blocks[1]):
        for h in range(0, height, rows):
            for w in range(0, width, columns):
                corner = y_first + block * y_block + h * y_row + w * y_step
                base = x_first + block * x_block + h * x_row + w * x_step
                for s in range(len(segments)):
                    o, first, last = segments[s, 0], segments[s, 1], segments[s, 2]
                    at = corner + o * y_channel
                    if segments[s, 3] and not adds:
                        pixels = splat(bias, o, outer)
                    else:
                        pixels = load(target, at, y_channel, y_row, outer)
                    for z in range(first, last):
                        pixels = add_product(
                            pixels, values, z * group, source, base + offsets[z], x_row, inner
                        )
                    store(pixels, target, at, y_channel, y_row, outer)


@kernel
def weight_gradient(
    x: Memory,
    g: Memory,
    size: Size,
    blocks: Range,
    taps: tuple[Array, Array, Array, Array],
    scratch: Array,
    found: Array,
    tiles: Tiles,
) -> None:
    """found[block, place] = the sum of g[n, o, h, w] times x at a tap's offset, over n, h and w.

    ``size`` is (O, H, W) of g. The values of ``taps`` are places here; ``scratch`` has room for a
    vector for each weight of a round.
    """
    source, x_first, x_block, _, x_row = x
    gradient, g_first, g_block, g_channel, g_row = g
    segments, rounds, offsets, places = taps
    _, height, width = size
    inner, outer = tiles
    group, rows, columns, lanes = len(outer[0]), len(outer[1]), len(outer[2]), len(inner[3])
    x_step, g_step = lanes * len(inner[4]), lanes
    for block in range(blocks[0], blocks[1]):
        for number in range(len(rounds) - 1):
            begin, end = segments[rounds[number], 1], segments[rounds[number + 1] - 1, 2]
            scratch[: (end - begin) * group * lanes] = np.float32(0)
            for h in range(0, height, rows):
                for w in range(0, width, columns):
                    corner = g_first + block * g_block + h * g_row + w * g_step
                    base = x_first + block * x_block + h * x_row + w * x_step
                    for s in range(rounds[number], rounds[number + 1]):
                        o, first, last = segments[s, 0], segments[s, 1], segments[s, 2]
                        if first == last:
                            continue
                        pixels = load(gradient, corner + o * g_channel, g_channel, g_row, outer)
                        for z in range(first, last):
                            place = (z - begin) * group * lanes
                            add_dot(pixels, source, base + offsets[z], x_row, scratch, place, inner)
            for k in range((end - begin) * group):
                if places[begin * group + k] >= 0:
                    total = np.float32(0)
                    for lane in range(lanes):
                        total += scratch[k * lanes + lane]
                    found[block, places[begin * group + k]] = total
