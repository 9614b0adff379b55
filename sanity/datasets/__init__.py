"""Data sets: packed once, then opened without copying; one module an option."""

from sanity.datasets.packing import open_packed
from sanity.datasets.settings import identity, resolve
from sanity.datasets.splits import split

__all__ = ["identity", "open_packed", "resolve", "split"]
