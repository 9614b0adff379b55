"""Settings as they are typed: what Hydra's grammar cannot read, and is plain text, is quoted.

Hydra reads ``key=value`` by a grammar of its own. In it an unquoted text has no letter beyond
ASCII, and none of ``~ ( ) [ ] ' " # & = ; < > ! ^``; paths and titles have. Where the value of a
setting cannot be read, each of its texts that could only be meant as one is put into quotes:
``~/a,~/b`` stays two values, ``[~/a]`` a list. Whatever can be read means what it always meant.
"""

import itertools
import re
import shlex
import sys
from collections.abc import Callable, Iterable

from hydra.core.override_parser.overrides_parser import OverridesParser, create_functions
from hydra.core.override_parser.types import Quote, QuotedString

from sanity.core.config import absolute
from sanity.core.errors import one_line

PARSER = OverridesParser.create()
SAFE = re.compile(r"(?!(null|true|false|inf|nan)$)[a-z_/][\w.+/:@%-]*", re.ASCII | re.IGNORECASE)
"""Texts that Hydra takes for texts without quotes; ``1_2`` and ``1e3`` are numbers to it."""
KEY = re.compile(r"[+~]*[\w$./@:-]*", re.ASCII)
UNDECODED = re.compile("[\udc80-\udcff]")  # what Python makes of bytes that it cannot decode
CLOSING = {"(": ")", "[": "]", "{": "}"}
PIECE = re.compile(  # a text in quotes, an escaped letter, a letter
    r"""(?<![^\s,:=(\[{])('(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")|\\.|.""", re.DOTALL
)
ESCAPED = re.compile(r"\\([\\()\[\]{}:=, \t])")
CALL = re.compile(rf"({'|'.join(create_functions().functions)})\s*\((.*)\)", re.DOTALL)
DIRECTORIES = ("hydra.run.dir", "hydra.sweep.dir")  # which Hydra makes, as it finds them typed
LONG = 200  # letters of a value of which nobody wants to read two versions


def readable(override: str) -> str:
    """``override`` such that Hydra can read it, where it is plain what was meant."""
    if _problem(override) is not None:
        key, equals, value = override.partition("=")
        mended = _mended(value) if equals and not _problem(f"{key}=1") else None
        if mended is not None and _problem(f"{key}={mended}") is None:
            override = f"{key}={mended}"
    return _at_home(override)


def quoted(value: str) -> str:
    """``value`` as Hydra's grammar wants it on the right of an ``=``."""
    if SAFE.fullmatch(value):
        return value
    return QuotedString(value, Quote.single).with_quotes()


def unreadable(override: str) -> str:
    """The line for a setting that cannot be read: what is in the way, where, and what to type."""
    key, equals, value = override.partition("=")
    start = f"{override}: cannot be read"
    if byte := UNDECODED.search(override):
        encoding = sys.getfilesystemencoding()
        cure = "" if encoding == "utf-8" else ", as which Python reads it here; set PYTHONUTF8=1"
        return f"{start}: byte 0x{ord(byte[0]) - 0xDC00:02x} in it is no {encoding}{cure}"
    if not equals or not key:
        return f"{start}; settings are given as key=value, without blanks around the ="
    name = KEY.match(key)
    end = name.end() if name else 0
    if end < len(key):
        return f"{start}: {_letter(override, end)} cannot be in the name of a setting"
    if _problem(f"{key}=1"):
        return f"{start}: {key} is no name of a setting"
    return f"{start}: {_obstacle(override, len(key) + 1)}{_advice(key, value)}"


def _mended(value: str) -> str | None:
    """``value`` with its plain texts in quotes; None where a part may be meant as something else.

    A comma separates values here as everywhere in Hydra.
    """
    parts = _split(value)
    if parts is None or len(parts) > 1:
        return _joined(parts or (), _mended) if parts else None
    text = value.strip()
    if _problem(f"key={text}") is None:
        return value
    if text[0] == "[" and text[-1] == "]":
        inside = _joined(_split(text[1:-1]) or (), _mended)
        return inside and f"[{inside}]"
    if text[0] == "{" and text[-1] == "}":
        inside = _joined(_split(text[1:-1]) or (), _mended_item)
        return inside and f"{{{inside}}}"
    if call := CALL.fullmatch(text):
        named = re.match(r"\s*\w+\s*=", call[2])  # an argument's name, which no text has
        inside = None if named else _joined(_split(call[2]) or (), _mended)
        return inside and f"{call[1]}({inside})"
    return quoted(ESCAPED.sub(r"\1", text)) if _is_plain(text) else None


def _mended_item(item: str) -> str | None:
    name, colon, value = item.partition(":")
    mended = _mended(value) if colon else None
    return mended and f"{name}:{mended}"


def _joined(parts: Iterable[str], mend: Callable[[str], str | None]) -> str | None:
    found = [mend(part) for part in parts]
    return ",".join(map(str, found)) if found and None not in found else None


def _is_plain(text: str) -> bool:
    """Whether it can be meant as a text only: nothing of it is an attempt at Hydra's syntax."""
    return text.isprintable() and text[0] not in "'\"=[{"


def _split(value: str) -> list[str] | None:
    """``value`` at its commas that are in no brackets or quotes; None where these do not match."""
    found = _scan(value)
    if isinstance(found, int):
        return None
    edges = [-1, *found, len(value)]
    return [value[a + 1 : b] for a, b in itertools.pairwise(edges)]


def _scan(value: str) -> list[int] | int:
    """Where its separating commas are; or, as a number, where a bracket is that matches none."""
    commas: list[int] = []
    opened: list[int] = []
    for match in PIECE.finditer(value):
        piece, at = match[0], match.start()
        if piece in CLOSING:
            opened.append(at)
        elif piece in CLOSING.values():
            if not opened or CLOSING[value[opened.pop()]] != piece:
                return at
        elif piece == "," and not opened:
            commas.append(at)
    return opened[-1] if opened else commas


def _problem(override: str) -> Exception | None:
    """What Hydra has against an override: errors of any kind, with nested lists also of Python."""
    try:
        PARSER.parse_override(override)
    except Exception as error:
        return error
    return None


def _at_home(override: str) -> str:
    """``~/`` in front of a directory that Hydra makes itself, and would call ``~``, written out."""
    key, _, value = override.partition("=")
    if key not in DIRECTORIES or "~" not in value or _problem(override):
        return override
    place = PARSER.parse_override(override).value()
    if not isinstance(place, str) or not place.startswith("~"):
        return override
    return f"{key}={quoted(str(absolute(key, place)))}"


def _obstacle(override: str, start: int) -> str:
    """What is in the way in the value, which begins at ``start``."""
    value = override[start:]
    for at, letter in enumerate(value, start):
        if not letter.isprintable():
            return f"{_letter(override, at)} is no part of a plain text"
    first = start + len(value) - len(value.lstrip())
    if override[first] in "'\"" and len(PIECE.findall(override, first)[0]) < 2:
        return f"{_letter(override, first)} is not closed"
    if override[first] == "=":
        return f"{_letter(override, first)} is one too many"
    found = _scan(value)
    if isinstance(found, int):
        letter = _letter(override, start + found)
        if value[found] not in CLOSING:
            return f"{letter} closes nothing"
        return f"{letter} is not closed; what has blanks stands in quotes, as 'key=[1, 2]'"
    if CALL.search(value) and (problem := _problem(override)) is not None:
        return one_line(problem)
    return "it is neither a value nor a list of values, nor a plain text"


def _letter(text: str, at: int) -> str:
    letter = text[at]
    shown = letter if letter.isprintable() and letter != " " else f"U+{ord(letter):04X}"
    return f"{shown} (character {at + 1})"


def _advice(key: str, value: str) -> str:
    """How a shell is given the value as a text."""
    if not value.isprintable() or len(value) > LONG:
        return "; texts of any kind can be given in quotes, as 'key=\"text\"'"
    return f"; as a text it is typed {for_shell(key, value)}"


def for_shell(key: str, value: str) -> str:
    """``key`` with ``value`` as a text, in quotes for Hydra and in others for the shell."""
    if "'" not in value and '"' not in value:
        return f"'{key}={QuotedString(value, Quote.double).with_quotes()}'"
    inside = f"{key}={quoted(value)}"
    return shlex.quote(inside) if re.search(r'["$`!]|\\(?!\')', inside) else f'"{inside}"'
