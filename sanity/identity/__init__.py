"""What decides a component's behaviour: its settings, its code, and the files that it reads."""

from sanity.identity.code import (
    Code,
    changes_unknown_to_keys,
    code_of,
    tell_unknown,
    unknown_to_keys,
)
from sanity.identity.loading import building, install
from sanity.identity.reads import Reads, watched
from sanity.identity.sources import loaded

__all__ = [
    "Code",
    "Reads",
    "building",
    "changes_unknown_to_keys",
    "code_of",
    "install",
    "loaded",
    "tell_unknown",
    "unknown_to_keys",
    "watched",
]
