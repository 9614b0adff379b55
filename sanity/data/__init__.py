"""Images of data sets: fetched, decoded, packed once, split; what is to be known of them.

What is offered here is imported when it is asked for: processes that decode images need no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sanity.data.packing import open_packed
    from sanity.data.settings import identity, resolve
    from sanity.data.splits import lost_classes, split

__all__ = ["identity", "lost_classes", "open_packed", "resolve", "split"]

_PLACES = {
    **{"open_packed": "packing", "identity": "settings", "resolve": "settings"},
    **{"lost_classes": "splits", "split": "splits"},
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
