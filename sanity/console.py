"""What a person sees while a run goes on: log lines and progress bars on stderr, tables on stdout.

Bars are drawn only on a terminal; elsewhere (files, SLURM logs) there is a line a stage.
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

from sanity.files import printable
from sanity.output import take_any_text


class _Stderr:
    """What is complained about; once nobody can read it any more, training goes on all the same."""

    @property
    def encoding(self) -> str:
        """That of stderr as it is now: bars are drawn with what it has."""
        return getattr(self._real, "encoding", None) or "utf-8"

    def write(self, text: str) -> int:
        """Write to stderr as it is now, which may be a pipe or a terminal that was closed."""
        with suppress(OSError):
            self._real.write(text)
        return len(text)

    def flush(self) -> None:
        """The same for what is buffered."""
        with suppress(OSError):
            self._real.flush()

    def isatty(self) -> bool:
        """Whether a person looks at it."""
        return self._real.isatty()

    def fileno(self) -> int:
        """For the size of the terminal."""
        return self._real.fileno()

    @property
    def _real(self) -> IO[str]:
        """The stderr of this moment; a bar that is drawn has put itself in its place."""
        return cast(IO[str], getattr(sys.stderr, "rich_proxied_file", sys.stderr))


err = Console(file=cast(IO[str], _Stderr()), stderr=True)
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
        message = printable(super().format(record))
        return (
            f"{record.levelname.lower()}: {message}" if record.levelno > logging.INFO else message
        )


class Bar:
    """A stage's progress in steps, with its rate and the latest figures."""

    def __init__(self, progress: Progress | None, task: Any) -> None:
        self._progress, self._task = progress, task
        self._start, self._images, self._text = time.perf_counter(), 0, ""

    def advance(self, images: int = 0) -> None:
        """One more step, over ``images`` images."""
        if self._progress is None:
            return
        self._images += images
        rate = self._images / max(time.perf_counter() - self._start, 1e-9)
        text = f"{rate:,.0f} images/s  {self._text}" if images else self._text
        self._progress.update(self._task, advance=1, rate=text)

    def show(self, text: str) -> None:
        """Figures beside the bar, such as the last epoch's accuracy."""
        self._text = text


@contextmanager
def bar(label: str, steps: int, done: int = 0) -> Iterator[Bar]:
    """A progress bar of ``steps`` steps, ``done`` of them, on a terminal; nothing elsewhere."""
    if not err.is_terminal:
        yield Bar(None, None)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[rate]}"),
    )
    with Progress(*columns, console=err, transient=True) as progress:
        yield Bar(progress, progress.add_task(label, total=steps, completed=done, rate=""))
