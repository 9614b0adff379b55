"""Batch norm, shortcut and ReLU in one, of images that lie as [pixels, channels].

Arrays are [B * H * W, C], of float32 or of bfloat16, which numba knows as uint16; all is computed
in float32. ``rows`` are the first pixel and the one behind the last; statistics are vectors [C].
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from sanity.training.engines.compiled import kernel

Array = Any
Range = tuple[int, int]

CHAIN = 64
"""Pixels that are summed up in float32; sums of sums are float64."""

_FLOAT, _INT, _SHORT = ir.FloatType(), ir.IntType(32), ir.IntType(16)


@intrinsic
def wide(typing: Any, value: Any) -> Any:
    """A number of an array as float32."""

    def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        if value == types.float32:
            return given[0]
        bits = builder.shl(builder.zext(given[0], _INT), _INT(16))
        return builder.bitcast(bits, _FLOAT)

    return types.float32(value), code


@intrinsic
def narrow(typing: Any, value: Any, array: Any) -> Any:
    """A float32 as a number of ``array``, rounded to the nearest, half to even."""

    def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        if array.dtype == types.float32:
            return given[0]
        bits = builder.bitcast(given[0], _INT)
        odd = builder.and_(builder.lshr(bits, _INT(16)), _INT(1))
        rounded = builder.lshr(builder.add(builder.add(bits, _INT(0x7FFF)), odd), _INT(16))
        no_number = builder.fcmp_unordered("uno", given[0], given[0])
        return builder.trunc(builder.select(no_number, _INT(0x7FC0), rounded), _SHORT)

    return array.dtype(types.float32, array), code


@kernel
def moments(y: Array, pivot: Array, size: int, images: Range, found: Array) -> None:
    """found [B, 2, C]: of each image of ``size`` pixels, the sums of y - pivot and its square."""
    channels = y.shape[1]
    s, q = np.zeros(channels, np.float32), np.zeros(channels, np.float32)
    for image in range(images[0], images[1]):
        found[image] = 0.0
        for start in range(image * size, (image + 1) * size, CHAIN):
            s[:] = 0
            q[:] = 0
            for row in range(start, min(start + CHAIN, (image + 1) * size)):
                for c in range(channels):
                    d = wide(y[row, c]) - pivot[c]
                    s[c] += d
                    q[c] += d * d
            for c in range(channels):
                found[image, 0, c] += s[c]
                found[image, 1, c] += q[c]


@kernel
def normalise(
    y: Array,
    r: Array,
    z: Array,
    pivot: Array,
    scale: Array,
    shift: Array,
    rows: Range,
    form: tuple[bool, bool],
) -> None:
    """z = relu((y - pivot) scale + shift + r); ``form``: whether relu, whether r."""
    channels, zero = y.shape[1], np.float32(0)
    with_relu, with_r = form
    for row in range(rows[0], rows[1]):
        if with_r:
            for c in range(channels):
                u = (wide(y[row, c]) - pivot[c]) * scale[c] + shift[c] + wide(r[row, c])
                z[row, c] = narrow(u if u > zero or not with_relu else zero, z)
        else:
            for c in range(channels):
                u = (wide(y[row, c]) - pivot[c]) * scale[c] + shift[c]
                z[row, c] = narrow(u if u > zero or not with_relu else zero, z)


@kernel
def products(
    y: Array,
    z: Array,
    d: Array,
    pivot: Array,
    size: int,
    images: Range,
    with_relu: bool,
    found: Array,
) -> None:
    """found [B, 2, C]: of each image, the sums of g and g (y - pivot); g = d where z > 0."""
    channels, zero = y.shape[1], np.float32(0)
    s, q = np.zeros(channels, np.float32), np.zeros(channels, np.float32)
    for image in range(images[0], images[1]):
        found[image] = 0.0
        for start in range(image * size, (image + 1) * size, CHAIN):
            s[:] = 0
            q[:] = 0
            for row in range(start, min(start + CHAIN, (image + 1) * size)):
                for c in range(channels):
                    g = wide(d[row, c])
                    g = g if not with_relu or wide(z[row, c]) > zero else zero
                    s[c] += g
                    q[c] += g * (wide(y[row, c]) - pivot[c])
            for c in range(channels):
                found[image, 0, c] += s[c]
                found[image, 1, c] += q[c]


@kernel
def denormalise(
    y: Array,
    z: Array,
    d: Array,
    dy: Array,
    dr: Array,
    pivot: Array,
    scale: Array,
    k1: Array,
    k2: Array,
    rows: Range,
    form: tuple[bool, bool],
) -> None:
    """dy = scale (g - k1 - (y - pivot) k2) and dr = g; ``form``: whether relu, whether r.

    dy may lie where d does.
    """
    channels, zero = y.shape[1], np.float32(0)
    with_relu, with_r = form
    for row in range(rows[0], rows[1]):
        if with_r:
            for c in range(channels):
                g = wide(d[row, c])
                g = g if not with_relu or wide(z[row, c]) > zero else zero
                dr[row, c] = narrow(g, dr)
                u = scale[c] * (g - k1[c] - (wide(y[row, c]) - pivot[c]) * k2[c])
                dy[row, c] = narrow(u, dy)
        else:
            for c in range(channels):
                g = wide(d[row, c])
                g = g if not with_relu or wide(z[row, c]) > zero else zero
                u = scale[c] * (g - k1[c] - (wide(y[row, c]) - pivot[c]) * k2[c])
                dy[row, c] = narrow(u, dy)
