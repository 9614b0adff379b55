"""Files that are either whole or absent: atomic writes and digests."""

import errno
import glob
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sanity.core import sharing

UNPRINTABLE = re.compile("[^\\t\\n\\x20-\\x7e\\xa0-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")
DISK_ERRORS = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO, errno.ESTALE),
    *(errno.EACCES, errno.EPERM),
}
"""What the system says of a full, read-only, failing, vanished or forbidden disk."""


def expanded(path: str | Path) -> Path:
    """A path as it is meant; ``~`` of a user whom nobody knows is a name like any other."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def sha256(path: Path) -> str:
    """The hex digest of a file's contents."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest(value: Any) -> str:
    """The SHA-256 of ``value`` as JSON, in hex; equal values have equal digests."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def read_json(path: Path) -> Any:
    """The JSON in ``path``; raises ValueError for anything else, OSError where it is unreadable."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write ``content`` so that a reader, or a crash, sees either the old file or the new one."""
    if isinstance(content, str):
        # A path may hold what is no letter, as bytes that the file system has all the same.
        content = content.encode(errors="backslashreplace")
    handle, temporary = sharing.temporary_file(path)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as indented JSON, atomically; NaN and infinity are refused."""
    write_atomically(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def fsync_directory(path: Path) -> None:
    """Make renames and new names inside ``path`` survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sweep_up(path: Path) -> None:
    """Remove what killed writers of ``path`` have left; for whoever is its only writer now."""
    for left in path.parent.glob(f".{glob.escape(path.name)}-*"):
        left.unlink(missing_ok=True)


def printable(value: Any) -> Any:
    """``value`` with every text in it free of what a terminal or XML takes for more than text.

    Control characters and halves of characters become the mark of what cannot be shown; line
    breaks and tabs stay.
    """
    if isinstance(value, str):
        return UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", value)
    if isinstance(value, dict):
        return {printable(name): printable(item) for name, item in value.items()}
    return [printable(item) for item in value] if isinstance(value, list) else value


def walk(
    top: Path, refused: Callable[[OSError], None]
) -> Iterator[tuple[Path, list[str], list[str]]]:
    """Every directory in and below ``top`` with its folders and files, like ``os.walk``.

    Links are followed, loops of them once; ``refused`` is told what may not be entered.
    """
    entered: set[str] = set()
    for directory, folders, files in os.walk(top, onerror=refused, followlinks=True):
        real = os.path.realpath(directory)
        if real in entered:
            folders.clear()
            continue
        entered.add(real)
        yield Path(directory), folders, files


def near(path: Path) -> str:
    """A path as one would type it from here."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
