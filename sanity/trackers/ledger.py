"""Which trainings a tracker has shown: one that forty runs share is shown once."""

from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from sanity.files import digest, write_json
from sanity.trackers.base import Tracker

SHOWN = ".shown"
"""The ledger's directory in the store: what is shown belongs to results, whoever runs them."""


class Claim:
    """The right to show one training; ends with the process at the latest."""

    def __init__(self, lock: FileLock, note: Path) -> None:
        self._lock, self._note = lock, note

    def done(self, facts: dict[str, Any]) -> None:
        """Note that it is shown to the end, and let go of it."""
        write_json(self._note, facts)
        self._lock.release()

    def release(self) -> None:
        """Let go of it: it is not shown, or not to its end."""
        self._lock.release()


class Ledger:
    """Notes of what is shown, below ``directory``: by tracker, place and training."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def claim(self, tracker: Tracker, training: str, *, anew: bool) -> Claim | None:
        """The right to show ``training``, unless another process is at it, or it is shown already.

        ``anew``: show it all the same. Used in the thread that shows it.
        """
        place = f"{tracker.name}-{digest(tracker.place)[:12]}"
        directory = self.directory / place
        directory.mkdir(parents=True, exist_ok=True)
        note = directory / f"{training}.json"
        lock = FileLock(directory / f"{training}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return None
        if note.exists() and not anew:
            lock.release()
            return None
        note.unlink(missing_ok=True)
        return Claim(lock, note)
