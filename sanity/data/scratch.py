"""Pixels on their way into a packed file: on the disk, where memory may not hold them all."""

import shutil
from math import prod
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

import numpy as np
from torch import Tensor, from_numpy

from sanity.core.errors import DataError, as_line

SMALL = 256 << 20  # bytes that any machine has left
COPIES = 2  # of the pixels on the disk while the packed file is written


class Scratch:
    """Room for ``count`` images of one size: in memory, or in a file of ``directory``.

    The file has no name, so that nothing of it is left, whatever happens. ``label`` begins what is
    said where the disk has no room.
    """

    def __init__(self, directory: Path, count: int, label: str) -> None:
        self._directory, self._count, self._label = directory, count, label
        self._memory = np.empty((0, 0, 0, 0), dtype=np.uint8)
        self._file: IO[bytes] | None = None
        self._shape: tuple[int, ...] = ()
        self._added = 0

    def add(self, pixels: np.ndarray) -> None:
        """The next image, uint8 [H, W, C]; one of another size than the first is left out.

        Raises DataError where all would take more than the disk has, OSError where it is full.
        """
        if not self._shape:
            self._make_room(pixels.shape)
        if pixels.shape != self._shape[1:]:
            return
        if self._file is None:
            self._memory[self._added] = pixels
        else:
            self._file.write(np.ascontiguousarray(pixels).data)
        self._added += 1

    def images(self) -> Tensor:
        """All images, uint8 [count, H, W, C]; of those that are missing nothing is known.

        Those of a file are mapped: the system gives up their memory where it is wanted elsewhere.
        """
        if self._file is None:
            return from_numpy(self._memory)
        self._file.truncate(prod(self._shape))
        return from_numpy(np.memmap(self._file, np.uint8, mode="c", shape=self._shape))

    def close(self) -> None:
        """Nothing is added any more; the images stay as long as somebody has them."""
        if self._file is not None:
            self._file.close()

    def _make_room(self, shape: tuple[int, ...]) -> None:
        self._shape = (self._count, *shape)
        size = prod(self._shape)
        if size <= SMALL:
            self._memory = np.empty(self._shape, dtype=np.uint8)
            return
        free = shutil.disk_usage(self._directory).free
        if COPIES * size > free:
            raise DataError(
                f"{as_line(self._label)}: {self._count:,} images of {shape[1]}x{shape[0]} pixels "
                f"need {COPIES * size / 1e9:,.1f} GB, and {as_line(self._directory)} has "
                f"{free / 1e9:,.1f} GB left: make room, or set dataset.image_size to a smaller one"
            )
        self._file = TemporaryFile(dir=self._directory)  # noqa: SIM115 - closed by its owner
