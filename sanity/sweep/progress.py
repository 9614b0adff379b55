"""How far a sweep is, for whoever waits: a bar on a terminal, a line now and then elsewhere."""

import logging
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import RenderableType
from rich.progress import BarColumn, ProgressColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichProgress
from rich.table import Column

from sanity.core.console import QUIET, err
from sanity.sweep.forecast import Forecast
from sanity.sweep.scheduler import Subject

log = logging.getLogger(__name__)

FIRST = 5.0  # seconds until the first line where there is no terminal


class Progress:
    """Counts jobs and shared stages that have ended, and tells how long the rest will take."""

    def __init__(
        self,
        bar: RichProgress | None,
        task: Any,
        total: int,
        done: int,
        forecast: Forecast | None = None,
    ) -> None:
        self._bar, self._task = bar, task
        self._total, self._done, self._failed = total, done, 0
        self.forecast = forecast or Forecast({}, {})
        self._due = time.monotonic() + FIRST
        self._said: list[str] = []

    def advance(self, jobs: int, failed: int = 0) -> None:
        """So many more jobs have ended, ``failed`` of them without success."""
        self._done += jobs
        self._failed += failed

    def count(self, done: int, failed: int) -> None:
        """So many jobs have ended by now."""
        self._done, self._failed = done, failed

    def look(
        self, waiting: Collection[Subject], running: Collection[Subject], workers: int | None
    ) -> None:
        """Show how things stand: what waits, what runs, ``workers`` at a time (None: unknown)."""
        self.forecast.look(running)
        counts = self._counts(waiting, running)
        epochs = self.forecast.epochs([*waiting, *running])
        left = self.forecast.left([*waiting, *running], workers) if workers else None
        over = not waiting and not running
        if self._bar is not None:
            rest = epochs + len(waiting) + len(running)
            shown = [*counts, *([f"{left} left"] if left and not over else [])]
            done = _size(self.forecast) - rest
            self._bar.update(self._task, completed=done, note="  ".join(shown))
            return
        counts += [f"{epochs:,} epochs to go"] if epochs else []
        if counts != self._said and (time.monotonic() >= self._due or over):
            self._said, self._due = counts, time.monotonic() + QUIET
            note = "" if over else "time left not known yet" if left is None else f"{left} left"
            log.info("sweep  %s", "  ".join([*counts, *filter(None, [note])]))

    def _counts(self, waiting: Collection[Subject], running: Collection[Subject]) -> list[str]:
        parts = [f"{self._done:,}/{self._total:,} jobs"]
        stages = len(self.forecast.shared)
        if stages:
            rest = sum(isinstance(subject, str) for subject in (*waiting, *running))
            parts.append(f"{stages - rest:,}/{stages:,} stages")
        parts += [f"{len(running):,} running"] if running else []
        parts += [f"{self._failed:,} failed"] if self._failed else []
        return parts


class _Bar(RichProgress):
    """A bar below a table that changes, if there is one."""

    def __init__(
        self, table: Callable[[], RenderableType] | None, *columns: ProgressColumn
    ) -> None:
        self._table = table
        super().__init__(*columns, console=err, transient=True)

    def get_renderables(self) -> Iterable[RenderableType]:
        """What is drawn, from top to bottom."""
        if self._table is not None:
            yield self._table()
        yield self.make_tasks_table(self.tasks)


@contextmanager
def progress(
    forecast: Forecast,
    total: int,
    done: int = 0,
    table: Callable[[], RenderableType] | None = None,
) -> Iterator[Progress]:
    """Show the progress of ``total`` jobs, of which ``done`` need not be run, below a ``table``."""
    if not err.is_terminal:
        yield Progress(None, None, total, done, forecast)
        return
    columns = (
        # Narrow, so that 80 columns hold the rest.
        BarColumn(12, table_column=Column(min_width=12)),
        TimeElapsedColumn(table_column=Column(min_width=7)),
        TextColumn("{task.fields[note]}", markup=False),
    )
    with _Bar(table, *columns) as bar:
        task = bar.add_task("sweep", total=_size(forecast), note=f"{done:,}/{total:,} jobs")
        yield Progress(bar, task, total, done, forecast)


def _size(forecast: Forecast) -> int:
    """The length of the bar: epochs, and one more for each run."""
    return sum(work.total + 1 for work in forecast.work.values())
