"""What a test may do to the disk: write below the directories it names, and start no process.

    with watching.only_below(tmp_path):
        open_packed(dataset, tmp_path)

Python tells its audit hook of every file it opens for writing, renames or removes, and of every
process it starts. What native code writes by itself (safetensors, torch.save) is not told.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
# Where in an event's arguments are the paths it writes, each with the directory it starts from.
PATHS: dict[str, list[tuple[int, int | None]]] = {
    "os.rename": [(0, 2), (1, 3)],
    "os.remove": [(0, 1)],
    "os.rmdir": [(0, 1)],
    "os.mkdir": [(0, 2)],
    "os.link": [(1, 3)],
    "os.symlink": [(1, 2)],
    "os.truncate": [(0, None)],
    "os.chmod": [(0, 2)],
    "os.chown": [(0, 3)],
    "os.utime": [(0, 3)],
    "os.setxattr": [(0, None)],
    "os.removexattr": [(0, None)],
    "shutil.copyfile": [(1, None)],
    "shutil.copymode": [(1, None)],
    "shutil.copystat": [(1, None)],
    "shutil.copytree": [(1, None)],
    "shutil.move": [(0, None), (1, None)],
    "shutil.rmtree": [(0, 1)],
    "shutil.chown": [(0, None)],
    "shutil.make_archive": [(0, None)],
    "shutil.unpack_archive": [(1, None)],
}
FOLLOWS_LINKS = {"open", "os.truncate", "os.chmod", "os.chown", "os.utime"}  # to what they name
PROCESSES = {
    *("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn"),
    *("os.fork", "os.forkpty", "os.startfile", "pty.spawn"),
}

_watchers: list[Callable[[str, tuple[Any, ...]], None]] = []
_installed: list[bool] = []  # an audit hook cannot be taken away, so there is one, mostly idle


@contextmanager
def only_below(*directories: Path | str) -> Iterator[None]:
    """Fail where the block, in any thread, writes elsewhere or starts a process.

    What is forbidden is stopped with PermissionError, and reported at the end of the block even
    if the block has dealt with that.
    """
    allowed = [Path(os.path.realpath(directory)) for directory in directories]
    offences: list[str] = []

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        found = [
            f"{event} of {path}"
            for path in _written(event, arguments)
            if not any(path.is_relative_to(directory) for directory in allowed)
        ]
        if event in PROCESSES:
            found.append(f"{event} {arguments}")
        if found:
            offences.extend(found)
            raise PermissionError(f"forbidden here: {found}")

    if not _installed:
        sys.addaudithook(_hook)
        _installed.append(True)
    compiled, sys.dont_write_bytecode = sys.dont_write_bytecode, True  # by an import in the block
    _watchers.append(watch)
    try:
        yield
    finally:
        _watchers.remove(watch)
        sys.dont_write_bytecode = compiled
        assert not offences, f"written elsewhere than below {allowed}, or started: {offences}"


def examples(count: int) -> int:
    """How many examples a fuzz test tries: ``count`` times the factor SANITY_FUZZ."""
    return count * int(os.environ.get("SANITY_FUZZ", "1"))


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    for watch in tuple(_watchers):
        watch(event, arguments)


def _written(event: str, arguments: tuple[Any, ...]) -> list[Path]:
    """The real paths that an event writes to; those of open files and of /dev/null are left out."""
    if event == "open":
        path, mode, flags = arguments
        writes = any(letter in mode for letter in "wax+") if mode else flags & WRITING
        places = [(path, None)] if writes else []
    else:
        places = [
            (arguments[at], None if base is None else arguments[base])
            for at, base in PATHS.get(event, [])
        ]
    return [
        _real(path, base, event in FOLLOWS_LINKS)
        for path, base in places
        if path is not None and not isinstance(path, int) and os.fsdecode(path) != os.devnull
    ]


def _real(path: Any, base: int | None, follow: bool) -> Path:
    """Where a path leads to; ``base`` is the open directory that it starts from, -1 for none."""
    text = os.fsdecode(path)
    if base is not None and base >= 0 and not text.startswith("/"):
        text = f"/proc/self/fd/{base}/{text}"
    parent, name = os.path.split(text)
    if follow or name in ("", ".", ".."):
        return Path(os.path.realpath(text))
    return Path(os.path.realpath(parent), name)  # of a link it is the link that is changed
