"""What trackers still have to show when a program is about to end."""

import logging
import time
from typing import Protocol

log = logging.getLogger(__name__)

QUIET = 2.0  # seconds of waiting that need no word


class Pending(Protocol):
    """Somebody with something left to tell."""

    label: str
    patience: float

    def join(self, seconds: float) -> bool:
        """Wait so long at most; whether everything is told."""


_pending: list[Pending] = []


def add(one: Pending) -> None:
    """Let :func:`settle` wait for ``one``."""
    _pending.append(one)


def settle() -> None:
    """Wait until everything is told, each tracker for its patience at most."""
    waiting, start = list(_pending), time.monotonic()
    _pending.clear()
    said: set[str] = set()
    for one in waiting:
        deadline = start + one.patience
        if one.join(min(QUIET, one.patience)):
            continue
        if one.label not in said:
            log.info("waiting for %s, %.0f s at most", one.label, one.patience)
        said.add(one.label)
        if not one.join(max(0.0, deadline - time.monotonic())):
            log.warning(
                "%s has not taken everything within %.0f s; `python -m sanity.trackers send` with "
                "the run's directory shows it later",
                one.label,
                one.patience,
            )
