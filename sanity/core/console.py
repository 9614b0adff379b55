"""What a person sees while a run goes on: log lines and progress bars on stderr, tables on stdout.

Bars are drawn only on a terminal. Elsewhere (files, SLURM logs) there is a line a stage, and while
one is trained a line an epoch, though no more than one a minute.
"""

import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any, cast

from rich.console import Console, RenderableType
from rich.highlighter import NullHighlighter
from rich.logging import RichHandler
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from sanity.core.files import printable
from sanity.core.output import take_any_text


class _Stderr:
    """What is complained about; once nobody can read it any more, training goes on all the same."""

    def write(self, text: str) -> int:
        """Write to stderr as it is now, which may be a pipe or a terminal that was closed."""
        with suppress(OSError):
            self._real.write(text)
        return len(text)

    def flush(self) -> None:
        """The same for what is buffered."""
        with suppress(OSError):
            self._real.flush()

    def __getattr__(self, name: str) -> Any:
        """Its encoding, terminal and size are those of stderr as it is now."""
        return getattr(self._real, name)

    @property
    def _real(self) -> IO[str]:
        """The stderr of this moment; a bar that is drawn has put itself in its place."""
        return cast(IO[str], getattr(sys.stderr, "rich_proxied_file", sys.stderr))


err = Console(file=cast(IO[str], _Stderr()), stderr=True)
log = logging.getLogger(__name__)

QUIET = 60.0  # seconds between two lines where nobody looks at a terminal
NEAR = 1.25  # two times that differ by less are told as one
WIDE = 1000  # columns where nobody looks at a terminal: a row is a line there


class Out(Console):
    """stdout, on which settings and paths are shown as they are."""

    def __init__(self, width: int | None = None) -> None:
        take_any_text()
        # They may hold brackets and colons: nothing of them is markup.
        super().__init__(width=width, markup=False, emoji=False)

    def on_broken_pipe(self) -> None:
        """Who read it has seen enough: an OSError like any other, and no end of the program."""
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - until the program ends
        raise BrokenPipeError


def echo(*parts: RenderableType) -> None:
    """Print tables and lines on stdout; in files and logs, wide enough for a row a line."""
    console = Out()
    if not console.is_terminal:
        console = Out(width=WIDE)
    for part in parts:
        console.print(part, highlight=False)


class LogHandler(RichHandler):
    """Plain log lines that do not tear a progress bar apart (used by Hydra's job logging)."""

    def __init__(self, level: int | str = logging.NOTSET) -> None:
        take_any_text()
        super().__init__(
            level,
            console=err,
            show_time=False,
            show_path=False,
            show_level=False,
            markup=False,
            highlighter=NullHighlighter(),
        )

    def emit(self, record: logging.LogRecord) -> None:
        """Beside a bar on a terminal; elsewhere plain, since rich would wrap it at 80 columns."""
        if err.is_terminal:
            super().emit(record)
        else:
            with suppress(OSError):
                print(self.format(record), file=sys.stderr, flush=True)

    def format(self, record: logging.LogRecord) -> str:
        """Name the level of anything above information; the rest speaks for itself."""
        level = f"{record.levelname.lower()}: " if record.levelno > logging.INFO else ""
        return level + printable(super().format(record))


class Bar:
    """A stage's progress in steps, with its rate and the latest figures; shows nothing itself."""

    def __init__(self, label: str, steps: int, done: int = 0) -> None:
        self.label, self.steps, self.done = label, steps, done
        self.part, self.inside, self.text = "", "", ""
        self._before, self._start, self._images = done, time.perf_counter(), 0

    def enter(self, part: str) -> None:
        """The part of the work that begins, such as an epoch."""
        self.part = part

    def advance(self, images: int = 0) -> None:
        """One more step, over ``images`` images."""
        self.done += 1
        self._images += images
        self._redraw()

    def within(self, inside: str) -> None:
        """How far a long step is, such as at which of its batches."""
        self.inside = inside
        self._redraw()

    def show(self, text: str) -> None:
        """Figures of the part that has ended, such as an epoch's accuracy."""
        self.text = text

    def _redraw(self) -> None:
        """Show where the work stands."""

    @property
    def rate(self) -> str:
        """Images a second since the start; "" where none are counted."""
        seconds = max(time.perf_counter() - self._start, 1e-9)
        return f"{self._images / seconds:,.0f} images/s" if self._images else ""

    @property
    def left(self) -> str:
        """How long the rest takes, should steps take what they took since the start."""
        made, rest = self.done - self._before, self.steps - self.done
        if made <= 0 or rest <= 0:
            return ""
        return f"{duration((time.perf_counter() - self._start) / made * rest)} left"


class _Drawn(Bar):
    """The bar of a terminal."""

    def __init__(self, label: str, steps: int, done: int, progress: Progress) -> None:
        super().__init__(label, steps, done)
        self._progress = progress
        self._task = progress.add_task(label, total=steps, completed=done, rate="")

    def _redraw(self) -> None:
        rate = "  ".join(filter(None, (self.rate, self.text)))
        self._progress.update(self._task, completed=self.done, rate=rate)


class _Lines(Bar):
    """Lines in a file: an epoch's figures, the first, the last, and between them one a minute.

    Work without epochs tells every minute at which step it is; within an epoch that is told once,
    where the first one lasts.
    """

    def __init__(self, label: str, steps: int, done: int) -> None:
        super().__init__(label, steps, done)
        self._said, self._silent = time.monotonic(), True

    def show(self, text: str) -> None:
        first, last = not self.text, self.done == self.steps
        super().show(text)
        if first or last or time.monotonic() - self._said >= QUIET:
            self._say(text)

    def _redraw(self) -> None:
        if time.monotonic() - self._said >= QUIET and (self._silent or not self.part):
            step = f"step {self.done:,}/{self.steps:,}"
            self._say(", ".join(filter(None, (self.part, step, self.inside))))

    def _say(self, text: str) -> None:
        self._said, self._silent = time.monotonic(), False
        log.info("%-14s %s", self.label, "  ".join(filter(None, (text, self.rate, self.left))))


@contextmanager
def bar(label: str, steps: int, done: int = 0) -> Iterator[Bar]:
    """Show ``steps`` steps, ``done`` of them: by a bar on a terminal, by lines elsewhere."""
    if not err.is_terminal:
        yield _Lines(label, steps, done)
        return
    columns = (
        TextColumn("{task.description}", markup=False),  # it may be a name of the user's
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[rate]}", markup=False),
    )
    with Progress(*columns, console=err, transient=True) as progress:
        yield _Drawn(label, steps, done, progress)


def duration(seconds: float) -> str:
    """A time as one says it, such as "8.6 minutes"."""
    return span(seconds, seconds)


def span(low: float, high: float) -> str:
    """A time that is known within bounds: "8 to 31 minutes", or one number where they are near."""
    units = (("days", 86400), ("hours", 3600), ("minutes", 60), ("seconds", 1))
    unit, length = next((one for one in units if high >= 1.5 * one[1]), units[-1])
    texts = [
        f"{value:.2g}" if value < 9.95 else f"{value:.0f}"
        for value in (low / length, high / length)
    ]
    return f"{texts[-1]} {unit}" if high <= NEAR * low else f"{texts[0]} to {texts[1]} {unit}"
