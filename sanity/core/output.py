"""stdout and stderr that take any text, whatever their encoding: none of it is worth a run."""

import codecs
import sys

ASCII = "sanity.ascii"
"""The name of the error handler."""

# What our tables and bars are drawn with: a letter for a letter, or columns would not stand.
PLAIN = {"█": "#", "±": "~", "×": "x", "–": "-", "−": "-", "…": "."}
PLAIN |= {"▲": "^", "▼": "v", "◇": "o", "●": "*"}


def in_ascii(error: UnicodeError) -> tuple[bytes, int]:
    """What to write for letters that an encoding does not have: signs alike, or their numbers.

    Bytes of a file's name that are no letters are written as they are.
    """
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
    """Let stdout and stderr write what they cannot encode in another way, instead of failing.

    A terminal, a pipe or a log may be ASCII or Latin-1, and a path may hold anything.
    """
    for stream in (sys.stdout, sys.stderr):
        if getattr(stream, "errors", None) in ("strict", "backslashreplace", "surrogateescape"):
            reconfigure = getattr(stream, "reconfigure", None)
            if reconfigure is not None:  # it is the program's own
                reconfigure(errors=ASCII)
