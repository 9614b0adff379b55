"""How a signal ends a command: at once, or, where work is under way, by unwinding it.

Ctrl-C may come at any moment: while Python imports, within a library that swallows exceptions,
while what it has interrupted is unwound, in what others have registered for the program's end. So
a signal raises an exception only where there is something to unwind. Elsewhere it ends the
process; in one line either way. Needs nothing but Python itself, as it is installed first.
"""

import atexit
import functools
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from typing import Any

from sanity.core.errors import as_line
from sanity.core.signals import HELD, URGENT, Terminated

KILLED = 128  # and the signal's number, as shells report it: 130 for Ctrl-C, 143 for SIGTERM
QUICK = 1.0  # seconds within which two signals are one wish: unwinding mostly takes less
SHOW_CURSOR = "\x1b[?25h"  # which progress bars hide
_DEFAULT = (signal.SIG_DFL, signal.default_int_handler)


class Shutdown:
    """What signals do to the command ``program``."""

    def __init__(self, program: str) -> None:
        self.program = program
        self.under_way = False  # whether there is work that an exception would unwind
        self._first: tuple[int, float] | None = None  # the signal that is unwound, and since when
        self._said = False

    def install(self) -> None:
        """Handle the signals that end a program, unless others (SLURM jobs, nohup) have plans."""
        if threading.current_thread() is not threading.main_thread():
            return
        for signum in HELD:
            if signal.getsignal(signum) in _DEFAULT:
                signal.signal(signum, self.handle)
        sys.unraisablehook = functools.partial(self._unraisable, sys.unraisablehook)
        atexit.register(_ignore)  # the first to be registered is the last to be called

    def handle(self, signum: int, frame: Any = None) -> None:
        """Unwind what is under way; who asks again, and not just twice in a row, need not wait."""
        now = time.monotonic()
        if self._first is None and self.under_way:
            self._first = (signum, now)
            raise KeyboardInterrupt if signum == signal.SIGINT else Terminated(signum)
        if self._first is None or (signum in URGENT and now - self._first[1] > QUICK):
            self.leave(signum)

    def leave(self, signum: int) -> None:
        """End the process with one line, whatever it is doing."""
        self.say(signum)
        os._exit(KILLED + signum)

    def say(self, signum: int, more: str = "") -> int:
        """Say once what happened, by a system call (prints may be interrupted); the exit code."""
        if not self._said:
            self._said = True
            what = "interrupted" if signum == signal.SIGINT else str(Terminated(signum))
            line = f"{self.program}: {as_line(what)}{more}\n"
            with suppress(OSError):  # of a terminal that was closed
                os.write(2, ((SHOW_CURSOR if os.isatty(2) else "") + line).encode())
        return KILLED + signum

    def cause(self, error: BaseException) -> int | None:
        """The signal behind an error, or None: interrupted imports raise errors of many kinds."""
        if isinstance(error, KeyboardInterrupt):
            return int(signal.SIGINT)
        if isinstance(error, Terminated):
            return error.signum
        return None if self._first is None else self._first[0]

    def _unraisable(self, others: Any, problem: Any) -> None:
        """An interruption where Python cannot raise it (in __del__, in a callback) ends it too."""
        if isinstance(problem.exc_value, KeyboardInterrupt | Terminated):
            self.leave(self.cause(problem.exc_value) or signal.SIGINT)
        others(problem)


def _ignore() -> None:
    """What is left then is Python's own end, in which it would let signals kill by default."""
    for signum in HELD:
        signal.signal(signum, signal.SIG_IGN)


_shutdown: Shutdown | None = None


def begin(program: str) -> None:
    """Let signals end this process, which is the command ``program``, in one line from here on."""
    global _shutdown
    if _shutdown is None:
        _shutdown = Shutdown(program)
        _shutdown.install()


def of(program: str) -> Shutdown:
    """The one that was begun; where the program was called as a function, one that does nothing."""
    return _shutdown or Shutdown(program)


def work_begins() -> None:
    """From here on there is something to unwind: signals raise KeyboardInterrupt or Terminated.

    Where no command has begun (in a notebook, in a worker) they do what they always did.
    """
    if _shutdown is not None:
        _shutdown.under_way = True


def work_ends() -> None:
    """From here on there is not."""
    if _shutdown is not None:
        _shutdown.under_way = False
