"""The content-addressed store: every stage's result, kept under a key of what determines it.

An entry is a directory ``<root>/<stage>/<key>/`` of safetensors and JSON files with a manifest of
their digests. ``python -m sanity.store`` looks after it.
"""

from sanity.store.entries import Entry, save_tensors
from sanity.store.keys import is_key, key_of
from sanity.store.store import Store, Work

__all__ = ["Entry", "Store", "Work", "is_key", "key_of", "save_tensors"]
