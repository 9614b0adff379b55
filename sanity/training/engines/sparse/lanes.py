"""How activations lie in memory: a pixel of a channel is one vector, with a lane for each image.

A batch is cut into *blocks* of as many images as there are lanes. The images of a block lie as
[C][H][W][lanes], each channel with a halo of zeros around it, wide enough for the convolutions that
look beyond its edges: so kernels know no edges. Neighbouring rows and channels share their halo.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

Array = Any
"""A numpy array."""

Memory = tuple[Array, int, int, int, int]
"""For kernels: the floats, where pixel 0 lies, and the strides of block, channel and row."""

Size = tuple[int, ...]
"""Channels, height, width and, where it matters, lanes."""

Range = tuple[int, int]
"""The first block and the one behind the last."""


LINE = 16
"""Floats of a line of the cache."""


@dataclass(frozen=True)
class Form:
    """Channels, height and width of an activation, and how wide a halo it has."""

    channels: int
    height: int
    width: int
    halo: int = 0

    def row(self, lanes: int) -> int:
        """Floats from a row to the next."""
        return (self.width + self.halo) * lanes

    def channel(self, lanes: int) -> int:
        """Floats from a channel to the next."""
        return (self.height + self.halo) * self.row(lanes)

    def first(self, lanes: int) -> int:
        """Floats before the first pixel."""
        return self.halo * (self.row(lanes) + lanes)

    def block(self, lanes: int) -> int:
        """Floats from a block to the next."""
        return self.channels * self.channel(lanes) + self.first(lanes)


class Activation:
    """The activations of a batch of ``blocks`` blocks, or gradients with respect to them."""

    def __init__(self, form: Form, blocks: int, lanes: int) -> None:
        self.form, self.blocks, self.lanes = form, blocks, lanes
        # Behind the last pixel there is room for what a tile of the halo below it reaches.
        tail = form.first(lanes) + form.row(lanes)
        self.floats = aligned(blocks * form.block(lanes) + tail)

    @cached_property
    def memory(self) -> Memory:
        form, lanes = self.form, self.lanes
        strides = form.block(lanes), form.channel(lanes), form.row(lanes)
        return (self.floats, form.first(lanes), *strides)

    def every(self, stride: int, down: int = 0, right: int = 0) -> Memory:
        """The same as if only each ``stride``-th row were there, from pixel (down, right) on."""
        floats, first, block, channel, row = self.memory
        return floats, first + down * row + right * self.lanes, block, channel, row * stride

    def tensor(self) -> torch.Tensor:
        """The pixels [blocks, C, H, W, lanes], in place."""
        floats, first, block, channel, row = self.memory
        form = self.form
        size = (self.blocks, form.channels, form.height, form.width, self.lanes)
        strides = (block, channel, row, self.lanes, 1)
        return torch.from_numpy(floats).as_strided(size, strides, first)


def aligned(count: int) -> Array:
    """Zeros that begin where a line of the cache does, on large pages where the system has them.

    NumPy asks for large pages and PyTorch does not: 5 to 9% of a step.
    """
    found = np.zeros(count + LINE, np.float32)
    skip = -(found.ctypes.data // found.itemsize) % LINE
    return found[skip : skip + count]


def offsets(form: Form, lanes: int, channel: Any, down: Any, right: Any) -> Any:
    """Floats from pixel 0 to that ``down`` and ``right`` in ``channel``, as int32 [...]."""
    found = channel * form.channel(lanes) + down * form.row(lanes) + right * lanes
    return np.ascontiguousarray(found, dtype=np.int32)
