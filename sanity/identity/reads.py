"""Which files a call opens, and whether it looks where nobody can see what it gets.

Python tells of what its own ``open`` opens, and so of all that is built on it (``torch.load``,
``numpy.load``). Libraries that open files by themselves it does not see.
"""

import functools
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from sanity.identity.sources import is_known, is_own

OF_THE_ENVIRONMENT = (f"{sys.prefix}/", f"{sys.base_prefix}/")
SYSTEM = ("/proc/", "/sys/", "/dev/", "/etc/", "/usr/", "/lib/", *OF_THE_ENVIRONMENT)
CODE = (".pyc", ".so", ".pyd")
ELSEWHERE = {
    "subprocess.Popen": "runs a program",
    "os.system": "runs a program",
    "os.posix_spawn": "runs a program",
    "socket.connect": "asks the network",
    "urllib.Request": "asks the network",
}


@dataclass
class Reads:
    """The ``files`` that were opened for reading, those ``written``, what else was asked."""

    files: set[Path] = field(default_factory=set)
    written: set[Path] = field(default_factory=set)
    elsewhere: set[str] = field(default_factory=set)


_watching = threading.local()
_readers: set[CodeType] = set()  # own functions that were at work when a file was opened


@contextmanager
def watched() -> Iterator[Reads]:
    """Collect what this thread reads."""
    _hook()
    found, before = Reads(), getattr(_watching, "reads", None)
    _watching.reads = found
    try:
        yield found
    finally:
        _watching.reads = before
        found.files = {path for path in found.files if _counts(path)}
        if before is not None:
            before.files |= found.files
            before.written |= found.written
            before.elsewhere |= found.elsewhere


@functools.cache
def _hook() -> None:
    sys.addaudithook(_heard)  # for the rest of the process: there is no way to take it back


def _heard(event: str, arguments: tuple[Any, ...]) -> None:
    reads = getattr(_watching, "reads", None)
    if reads is None:
        return
    if event == "open":
        path, _, flags = arguments
        writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR)
        if isinstance(path, str | bytes):
            found = reads.written if writes else reads.files
            found.add(Path(os.fsdecode(path)).absolute())
            _remember_readers(sys._getframe(1))
    elif event in ELSEWHERE:
        reads.elsewhere.add(ELSEWHERE[event])


def has_read(code: CodeType | None) -> bool:
    """Whether a file was opened while a function with this ``code`` was at work."""
    return code in _readers


def _remember_readers(frame: FrameType | None) -> None:
    while frame is not None:
        if is_own(frame.f_code.co_filename):
            _readers.add(frame.f_code)
        frame = frame.f_back


def _counts(path: Path) -> bool:
    """Whether it is a file of the user's, rather than code or the system's."""
    text = str(path)
    plain = not text.startswith(SYSTEM) and path.suffix not in CODE
    return plain and path.is_file() and is_own(text) and not _is_module(path)


def _is_module(path: Path) -> bool:
    """Whether it is the source of a module, which is told by what is reached of it."""
    if path.suffix != ".py":
        return False
    named = {getattr(one, "__file__", None) for one in list(sys.modules.values())}
    return is_known(path) or str(path) in named
