"""What decides a component's behaviour: its settings, its code, and the files that it reads."""

from sanity.identity.code import Code, code_of, tell_unknown, unknown_to_keys
from sanity.identity.loading import install
from sanity.identity.reads import Reads, watched
from sanity.identity.sources import loaded

__all__ = [
    "Code",
    "Reads",
    "code_of",
    "install",
    "loaded",
    "tell_unknown",
    "unknown_to_keys",
    "watched",
]
