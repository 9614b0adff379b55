"""Which trainings a tracker has shown: one that forty runs share is shown once."""

from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from sanity.core import sharing
from sanity.core.files import digest, read_json, write_json
from sanity.core.locks import lock_at
from sanity.trackers.base import Tracker, Training

SHOWN = ".shown"
"""Their directory in the store: what is shown belongs to results, whoever runs them."""


class Lease:
    """The right to show one training; ends with the process at the latest."""

    def __init__(self, lock: FileLock | None = None, note: Path | None = None) -> None:
        """Without a lock and a note, nothing is remembered."""
        self._lock, self._note = lock, note

    def done(self, facts: dict[str, Any]) -> None:
        """Note that it is shown to the end."""
        if self._note is not None:
            write_json(self._note, facts)

    def release(self) -> None:
        """Let go of it: it is not shown, or not to its end."""
        if self._lock is not None:
            self._lock.release()


class ShownRuns:
    """Notes of what is shown, below ``directory``: by tracker, place and training.

    Without a directory, or where it cannot be written, everything is shown and nothing noted.
    """

    def __init__(self, directory: Path | None) -> None:
        self.directory = directory

    def lease(
        self, tracker: Tracker, training: Training, *, anew: bool, wait: float = 0.0
    ) -> Lease | None:
        """The right to show ``training``, unless another process is at it, or it is shown already.

        ``anew``: show it all the same. ``wait``: seconds that another process may take to let go
        of it. Used in the thread that shows it.
        """
        if self.directory is None:
            return Lease()
        directory = self.directory / f"{tracker.name}-{digest(tracker.place)[:12]}"
        name = tracker.subject(training)
        note = directory / f"{name}.json"
        try:
            sharing.make_directory(directory)
            lock = lock_at(directory / f"{name}.lock")
            lock.acquire(timeout=wait)
        except Timeout:
            return None
        except OSError:  # a store that is only read here
            return Lease()
        try:
            shown = read_json(note)
        except (OSError, ValueError):
            shown = None
        if isinstance(shown, dict) and not anew and not tracker.is_outdated(shown):
            lock.release()
            return None
        note.unlink(missing_ok=True)
        return Lease(lock, note)
