"""Data sets: packed once, then opened without copying; one module an option."""

from sanity.datasets.packing import open_packed
from sanity.datasets.settings import identity, resolve
from sanity.datasets.splits import lost_classes, split

__all__ = ["identity", "lost_classes", "open_packed", "resolve", "split"]
