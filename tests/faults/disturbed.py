"""Run a script in a process that something happens to before its N-th change of the disk.

python disturbed.py WHAT N COUNT SCRIPT [ARGUMENTS]

WHAT is ``kill``, or an error such as ``EIO`` that the system answers from then on when anything is
created, renamed or synced; ``nothing`` happens where N is 0. Changes are those that decide whether
things are whole: files opened for writing, renamed, removed, synced and locked, directories made
and removed, below the directories in DISTURBED_BELOW (separated by colons). Their number so far is
written to COUNT when the script ends by itself.
"""

import errno
import os
import runpy
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import seccomp

CHANGES = {
    *("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "os.link", "os.symlink"),
    *("os.truncate", "shutil.rmtree", "tempfile.mkstemp", "tempfile.mkdtemp"),
}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class Countdown:
    """Counts changes; before the ``last`` one, ``happen`` is called."""

    def __init__(self, last: int, happen: Callable[[], None], places: list[str]) -> None:
        self.last, self.happen, self.places, self.count = last, happen, places, 0

    def tick(self) -> None:
        self.count += 1
        if self.count == self.last:
            self.happen()

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        """An audit hook: sees what Python is about to do."""
        if event == "open":
            path, mode, flags = arguments
            writes = isinstance(flags, int) and flags & WRITING
            if (writes or (isinstance(mode, str) and set(mode) & set("wax+"))) and self.ours(path):
                self.tick()
        elif event == "fcntl.flock" or (event in CHANGES and self.ours(arguments[0])):
            self.tick()

    def ours(self, path: Any) -> bool:
        return isinstance(path, str | os.PathLike) and any(
            str(Path(path).absolute()).startswith(place) for place in self.places
        )


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    what, last, count, script, *arguments = sys.argv[1:]
    happen = die
    if what.startswith("E"):
        error = getattr(errno, what)

        def happen() -> None:
            seccomp.refuse(seccomp.CHANGING, error)

    countdown = Countdown(int(last), happen, os.environ["DISTURBED_BELOW"].split(":"))
    sync = os.fsync

    def fsync(fd: Any) -> None:
        countdown.tick()
        sync(fd)

    vars(os)["fsync"] = fsync
    sys.addaudithook(countdown.hear)
    sys.argv = [script, *arguments]
    sys.path[0] = str(Path(script).parent)
    try:
        runpy.run_path(script, run_name="__main__")
    finally:
        countdown.last = 0
        with suppress(OSError):  # the disk that is tried may be the one to write to
            Path(count).write_text(str(countdown.count))


if __name__ == "__main__":
    main()
