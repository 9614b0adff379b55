"""Images of data sets: fetched, decoded, packed once, split; what is to be known of them."""

from sanity.data.packing import open_packed
from sanity.data.settings import identity, resolve
from sanity.data.splits import lost_classes, split

__all__ = ["identity", "lost_classes", "open_packed", "resolve", "split"]
