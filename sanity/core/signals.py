"""Signals that wait: training stops between two steps, with what it has reached on the disk.

A signal is held until the running step is done and a checkpoint is saved; then it does what it
would have done at once: end the program (Ctrl-C, kill, a closed terminal), requeue a SLURM job,
or nothing.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

# Of a terminal that is closed both the shell and the system tell, so that SIGHUP may come twice.
URGENT = frozenset({signal.SIGINT, signal.SIGTERM})
# By default these kill: also a closed terminal, and SLURM's word before a limit (--signal=USR2).
KILLING = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR2)
HELD: tuple[int, ...] = (signal.SIGINT, *KILLING)


class Terminated(BaseException):
    """A signal that ends the program, as an exception, so that nothing is left half-written."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)  # all that it takes to make it again in another process
        self.signum = signum

    def __str__(self) -> str:
        return f"stopped by {signal.Signals(self.signum).name}"


class Held:
    """The signals that have come since they are held, first come first."""

    def __init__(self, previous: dict[int, Callable[[int, Any], Any] | int]) -> None:
        self.pending: list[int] = []
        self._previous = previous

    def deliver(self) -> None:
        """Let the signals do what they would have done; returns if that ends nothing."""
        while self.pending:
            self._act(self.pending.pop(0))

    def note(self, signum: int, frame: Any) -> None:
        """The handler meanwhile; who asks for the end a second time does not want to wait."""
        if signum in URGENT and URGENT.intersection(self.pending):
            self._act(signum)
        elif signum not in self.pending:
            self.pending.append(signum)

    def _act(self, signum: int) -> None:
        previous = self._previous[signum]
        if callable(previous):
            previous(signum, None)
        elif signum == signal.SIGINT:
            raise KeyboardInterrupt
        else:
            raise Terminated(signum)


@contextmanager
def hold() -> Iterator[Held]:
    """Hold SIGINT, SIGTERM, SIGHUP and SIGUSR2 in this block; who is in it asks for ``pending``.

    Ignored signals stay ignored. Python lets only the main thread do this: elsewhere nothing is
    held. What is pending at the end of the block is delivered, unless the program ends anyway.
    """
    in_main = threading.current_thread() is threading.main_thread()
    found = {number: signal.getsignal(number) for number in HELD} if in_main else {}
    # None: set by something other than Python, which could not be asked to act later.
    previous = {n: handler for n, handler in found.items() if handler not in (signal.SIG_IGN, None)}
    held = Held(previous)
    ending = False
    try:
        for number in previous:
            signal.signal(number, held.note)
        yield held
    except Exception:
        raise
    except BaseException:
        ending = True
        raise
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        if not ending:
            held.deliver()
