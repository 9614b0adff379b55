"""Tells trackers what a run does, in threads of their own: they never hold it up or fail it."""

import functools
import logging
import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from copy import deepcopy
from queue import SimpleQueue
from typing import Any

from sanity.core import pending
from sanity.trackers.base import Curve, Ending, Problem, Tracker, Training
from sanity.trackers.guard import said_by, standing_aside, told
from sanity.trackers.shown import Lease, ShownRuns
from sanity.trackers.training import TICKET, describe, ending_of, is_shown

log = logging.getLogger(__name__)

Figures = dict[str, Any]

LATER = "; the run goes on, and `python -m sanity.trackers send` with its directory shows it later"


def _never_raises(method: Callable[..., None]) -> Callable[..., None]:
    """Called in the midst of a training, which no mistake in here may end."""

    @functools.wraps(method)
    def guarded(*args: Any) -> None:
        with standing_aside("trackers", LATER.removeprefix("; ")):
            method(*args)

    return guarded


class Hub:
    """Hears what a run's record is told (a ``record.Listener``) and passes on its trainings.

    What is trained now is shown epoch by epoch; what is reused is shown whole when the run has
    ended, unless it was shown before.
    """

    def __init__(
        self,
        trackers: Sequence[Tracker],
        shown: ShownRuns,
        *,
        anew: bool = False,
        advice: str = LATER,
    ) -> None:
        """``anew``: show again what was shown before; ``advice`` ends a warning of a failure."""
        self._threads: list[TrackerThread] = []
        for tracker in trackers:
            with standing_aside(said_by(tracker), "the run goes on without it"):
                self._threads.append(TrackerThread(tracker, shown, advice))
        self._epochs: dict[str, list[Figures]] = defaultdict(list)
        self._open: dict[str, Training] = {}
        self._anew = anew

    def replay(self, content: dict[str, Any], epochs: Sequence[Figures]) -> list["TrackerThread"]:
        """Show a finished run from its record and the lines of ``metrics.jsonl``.

        Returns those who are telling it: wait for them.
        """
        for line in epochs:
            self.epoch(line["stage"], {k: v for k, v in line.items() if k != "stage"})
        content = deepcopy(content)
        for facts in content["stages"].values():
            facts["reused"] = True  # all of it is there
        self.end(content)
        return self._threads

    @_never_raises
    def begin(self, content: dict[str, Any], stage: str, key: str, perturbed: bool) -> None:
        """Start the curve of a stage that is trained now."""
        if is_shown(stage) and self._threads:
            self._open[stage] = training = describe(deepcopy(content), stage, key, perturbed)
            for thread in self._threads:
                thread.open(training)

    @_never_raises
    def epoch(self, stage: str, figures: Figures) -> None:
        """Pass on an epoch of what is trained now; remember those of all."""
        self._epochs[stage].append(dict(figures))
        if stage in self._open:
            for thread in self._threads:
                thread.add(self._open[stage], dict(figures))

    @_never_raises
    def stage(self, content: dict[str, Any], stage: str) -> None:
        """A training is done; the last ticket's waits for the figures of the whole run."""
        if stage in self._open and stage != TICKET:
            self._finish(content, stage)

    @_never_raises
    def end(self, content: dict[str, Any]) -> None:
        """Finish what is open, and show what was reused and nobody has shown."""
        content = deepcopy(content)
        for stage in list(self._open):
            self._finish(content, stage)
        for stage, facts in content["stages"].items():
            if is_shown(stage) and facts["reused"] and self._threads:
                training = describe(content, stage, facts["key"], facts.get("perturbed", False))
                ending = ending_of(content, stage, self._epochs[stage])
                for thread in self._threads:
                    thread.show(training, self._epochs[stage], ending, anew=self._anew)
        for thread in self._threads:
            thread.stop()

    def _finish(self, content: dict[str, Any], stage: str) -> None:
        training = self._open.pop(stage)
        ending = ending_of(deepcopy(content), stage, self._epochs[stage])
        for thread in self._threads:
            thread.finish(training, ending)


class TrackerThread:
    """Speaks to one tracker, in a thread that starts when there is something to say.

    A tracker that fails is a warning, one a run, and what it has not shown can be sent later.
    """

    def __init__(self, tracker: Tracker, shown: ShownRuns, advice: str = LATER) -> None:
        self._tracker, self._shown, self._advice = tracker, shown, advice
        self._queue: SimpleQueue[tuple[Training, Callable[[], None]] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._leases: dict[str, Lease] = {}
        self._curves: dict[str, Curve] = {}
        self.failed = False
        self.label, self.patience = said_by(tracker), float(tracker.patience)

    def open(self, training: Training) -> None:
        """Start a curve, or go on with it."""
        # A run that was stopped a moment ago may still be telling how it ended.
        self._say(training, lambda: self._start(training, anew=True, wait=self.patience))

    def add(self, training: Training, figures: Figures) -> None:
        """Add an epoch to an open curve."""
        self._say(training, lambda: self._add(training, figures))

    def finish(self, training: Training, ending: Ending) -> None:
        """End an open curve."""
        self._say(training, lambda: self._end(training, ending))

    def show(
        self, training: Training, epochs: Sequence[Figures], ending: Ending, *, anew: bool
    ) -> None:
        """Show a whole training, unless it has been shown (``anew``: even then)."""
        self._say(training, lambda: self._start(training, anew=anew))
        for figures in epochs:
            self.add(training, figures)
        self.finish(training, ending)

    def stop(self) -> None:
        """There is nothing more to say."""
        if self._thread:
            self._queue.put(None)

    def join(self, seconds: float) -> bool:
        """Wait until everything is said, ``seconds`` at most; whether it is."""
        if self._thread:
            self._thread.join(seconds)
        return self._thread is None or not self._thread.is_alive()

    def _say(self, training: Training, what: Callable[[], None]) -> None:
        if self._thread is None:
            # A daemon: a tracker that hangs must not keep the program from ending.
            self._thread = threading.Thread(target=self._work, name=self.label, daemon=True)
            self._thread.start()
            pending.add(self)
        self._queue.put((training, what))

    def _work(self) -> None:
        while (said := self._queue.get()) is not None:
            training, what = said
            try:
                what()
            except BaseException as error:  # whatever a tracker does, the run goes on
                self._warn(error)
                self._let_go(training.id)
        for name in list(self._leases):
            self._let_go(name)

    def _start(self, training: Training, *, anew: bool, wait: float = 0.0) -> None:
        lease = self._shown.lease(self._tracker, training, anew=anew, wait=wait)
        if lease is not None:
            self._leases[training.id] = lease
            self._curves[training.id] = self._tracker.open(training)

    def _add(self, training: Training, figures: Figures) -> None:
        if curve := self._curves.get(training.id):
            curve.add(figures)

    def _end(self, training: Training, ending: Ending) -> None:
        if curve := self._curves.get(training.id):
            curve.finish(ending)
            if ending.status == "completed":
                about = {"name": training.name, "group": training.group, "key": training.key}
                self._leases[training.id].done(about | curve.note())
            self._let_go(training.id)

    def _let_go(self, name: str) -> None:
        self._curves.pop(name, None)
        if lease := self._leases.pop(name, None):
            with suppress(OSError):
                lease.release()

    def _warn(self, error: BaseException) -> None:
        text = str(error) if isinstance(error, Problem) else told(error)
        if self.failed:
            log.debug("%s: %s", self.label, text)
            return
        self.failed = True
        says_what_to_do = isinstance(error, Problem) and self._advice == LATER
        advice = "; the run goes on" if says_what_to_do else self._advice
        log.warning("%s: %s%s", self.label, text, advice)
