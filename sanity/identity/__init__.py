"""What decides a component's behaviour: its settings, its code, and the files that it reads."""

from sanity.identity.code import Code, code_of, tell_unknown
from sanity.identity.reads import Reads, watched
from sanity.identity.sources import install, loaded

__all__ = ["Code", "Reads", "code_of", "install", "loaded", "tell_unknown", "watched"]
