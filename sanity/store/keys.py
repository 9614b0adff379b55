"""Keys: digests of the settings that determine a stage's result."""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

FORMAT = 1
"""Of entries; it is part of every key, so that entries of another format are never asked for."""

# Settings added after results were first stored, with the value that changes nothing. They enter
# a key only where they differ, so that an added option leaves existing results where they are.
NEUTRAL: dict[str, Any] = {}

# Raised for a stage when its code is changed to give other numbers: results of the old code stay
# on disk, but are no longer taken for the new code's.
REVISION: dict[str, int] = {}

_KEY = re.compile("[0-9a-f]{20}")


def key_of(stage: str, settings: Mapping[str, Any]) -> str:
    """The key of a stage's result: a digest of the settings that determine it."""
    relevant = _without_neutral(dict(settings), prefix="")
    named = {"format": FORMAT, "stage": stage, "settings": relevant}
    if stage in REVISION:
        named["revision"] = REVISION[stage]
    text = json.dumps(named, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def is_key(text: object) -> bool:
    """Whether ``text`` has the form of a key; records and file names may hold anything."""
    return isinstance(text, str) and _KEY.fullmatch(text) is not None


def _without_neutral(settings: dict[str, Any], prefix: str) -> dict[str, Any]:
    relevant = {}
    for name, value in settings.items():
        path = f"{prefix}{name}"
        if path in NEUTRAL and value == NEUTRAL[path]:
            continue
        relevant[name] = _without_neutral(value, f"{path}.") if isinstance(value, dict) else value
    return relevant
