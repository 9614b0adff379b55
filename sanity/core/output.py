"""stdout and stderr that take any text, whatever their encoding: none of it is worth a run."""

import codecs
import sys

ASCII = "sanity.ascii"
"""The name of the error handler."""

# What our tables and bars are drawn with: a letter for a letter, or columns would not stand.
PLAIN = {"█": "#", "±": "~", "×": "x", "–": "-", "−": "-", "…": "."}
PLAIN |= {"▲": "^", "▼": "v", "◇": "o", "●": "*"}


def in_ascii(error: UnicodeError) -> tuple[bytes, int]:
    """What to write for letters that an encoding lacks: signs alike, numbers, a name's bytes."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letters = error.object[error.start : error.end]
    return b"".join(_plain(letter) for letter in letters), error.end


def _plain(letter: str) -> bytes:
    if "\udc80" <= letter <= "\udcff":
        return letter.encode("ascii", "surrogateescape")
    return PLAIN.get(letter, letter).encode("ascii", "backslashreplace")


codecs.register_error(ASCII, in_ascii)


def take_any_text() -> None:
    """Let stdout and stderr, which may be ASCII or Latin-1, write any text instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if getattr(stream, "errors", None) in ("strict", "backslashreplace", "surrogateescape"):
            reconfigure = getattr(stream, "reconfigure", None)
            if reconfigure is not None:  # it is the program's own
                reconfigure(errors=ASCII)
