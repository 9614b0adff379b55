"""Keys: digests of the settings that determine a stage's result."""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

FORMAT = 2
"""Of entries; it is part of every key, so that entries of another format are never asked for."""

_KEY = re.compile("[0-9a-f]{20}")


def key_of(stage: str, settings: Mapping[str, Any]) -> str:
    """The key of a stage's result: a digest of the settings that determine it.

    Where a stage's own code comes to give other numbers, a ``version`` among its settings says so.
    """
    named = {"format": FORMAT, "stage": stage, "settings": dict(settings)}
    text = json.dumps(named, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def is_key(text: object) -> bool:
    """Whether ``text`` has the form of a key; records and file names may hold anything."""
    return isinstance(text, str) and _KEY.fullmatch(text) is not None
