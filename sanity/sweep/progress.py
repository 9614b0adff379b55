"""How far a sweep is, for whoever watches: a bar on a terminal, a line now and then elsewhere."""

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as RichProgress

from sanity.console import err
from sanity.sweep.states import WORDS, Word

log = logging.getLogger(__name__)

QUIET = 60.0  # seconds between two lines where there is no terminal


class Progress:
    """Counts the jobs that have ended."""

    def __init__(self, bar: RichProgress | None, task: Any, total: int, done: int) -> None:
        self._bar, self._task = bar, task
        self._total, self._done = total, done
        self._said = time.monotonic()

    def advance(self, jobs: int) -> None:
        """So many more jobs have ended."""
        self._update(self._done + jobs)

    def show(self, counts: Mapping[Word, int]) -> None:
        """How many jobs stand where."""
        others = [f"{counts[word]} {word}" for word in WORDS[1:4]]
        self._update(counts["done"] + counts["failed"], ", ".join(others))

    def _update(self, done: int, note: str = "") -> None:
        moved, self._done = done != self._done, done
        if self._bar is not None:
            self._bar.update(self._task, completed=done, note=note)
        elif moved and (time.monotonic() - self._said > QUIET or done == self._total):
            self._said = time.monotonic()
            log.info("%d of %d jobs have ended  %s", done, self._total, note)


@contextmanager
def progress(total: int, done: int = 0) -> Iterator[Progress]:
    """A bar over ``total`` jobs of which ``done`` need not be run."""
    if not err.is_terminal:
        yield Progress(None, None, total, done)
        return
    columns = (
        TextColumn("jobs"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with RichProgress(*columns, console=err, transient=True) as bar:
        task = bar.add_task("jobs", total=total, completed=done, note="")
        yield Progress(bar, task, total, done)
