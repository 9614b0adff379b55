"""The store itself: a result is taken from it, or computed and put into it, once.

A result is computed in ``<root>/.work/<stage>-<key>/``, where checkpoints outlive a run that is
broken off, and renamed into place under a lock: so it is whole or absent, and concurrent runs
compute it once.
"""

import errno
import functools
import logging
import shutil
import stat as modes
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from sanity.core import locks, sharing
from sanity.core.errors import StoreError, reason
from sanity.core.files import DISK_ERRORS, fsync_directory
from sanity.store import notes
from sanity.store.entries import Entry, FormatError, seal, verified
from sanity.store.keys import is_key, key_of

log = logging.getLogger(__name__)
warn_once = functools.cache(log.warning)  # not for each of a process's runs


@dataclass(frozen=True)
class Work:
    """Where a stage is computed: its files go into ``directory``, which is there and empty.

    ``checkpoints`` is the computation's to make and to use; it stays until the result is stored.
    """

    directory: Path
    checkpoints: Path


Compute = Callable[[Work], dict[str, Any]]
"""Writes a stage's files and returns its (JSON) facts."""


class Store:
    """Results below ``root``; the one method that matters is :meth:`fetch`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def open(self) -> None:
        """Create the store where it is missing; raises StoreError where it cannot be written."""
        try:
            sharing.make_directory(self.root / ".locks")
            with tempfile.TemporaryFile(dir=self.root):
                pass
            locks.refuse_without_locks(self.root / ".locks" / "probe.lock")
            notes.begin(self.root)
            mode = self.root.stat().st_mode
        except OSError as error:
            raise StoreError(
                f"store_dir={self.root}: cannot be written ({locks.why_not(error)})"
            ) from None
        if mode & modes.S_IWOTH:  # digests find damage, not malice: who writes one writes both
            what = "anyone may write to store_dir=%s, and so choose your results: chmod o-w %s"
            warn_once(what, self.root, self.root)
        notes.hint_at_sharing(self.root)

    def get(self, stage: str, key: str) -> Entry | None:
        """The entry of this key, verified, or None; a damaged one is moved out of the way.

        Raises StoreError for what is no key, and where the entry cannot be read.
        """
        if not (is_key(key) and stage.isidentifier()):  # of a record, which may be anybody's
            raise StoreError(f"{stage}/{key}: names no result of a store")
        path = self.path_of(stage, key)
        if not path.exists():
            return None
        try:
            return verified(stage, key, path)
        except FormatError as error:  # by another version's hand: nothing is wrong with it
            raise StoreError(f"{path}: {error}") from None
        except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError) as error:
            damage = str(error) or type(error).__name__
        except OSError as error:  # unreadable here, which says nothing about its contents
            raise StoreError(f"store_dir={self.root}: {path}: {reason(error)}") from error
        self._move_aside(stage, key, damage)
        return None

    def fetch(self, stage: str, settings: Mapping[str, Any], compute: Compute) -> Entry:
        """The entry of these settings: reused where it exists, otherwise computed and stored."""
        key = key_of(stage, settings)
        found = self.get(stage, key)
        if found is None:
            with self.locked(stage, key):
                found = self.get(stage, key) or self._create(stage, key, settings, compute)
        if self.work_of(stage, key).exists():  # also what a killed run had no time to remove
            with suppress(StoreError), self.locked(stage, key):
                _remove(self.work_of(stage, key))
        return found

    def path_of(self, stage: str, key: str) -> Path:
        """Where the entry lies, if there is one."""
        return self.root / stage / key

    def work_of(self, stage: str, key: str) -> Path:
        """Where the entry is computed."""
        # Not among the stage's entries: nobody has to list 100,000 of them for what killed runs
        # left, and there is one place to clean.
        return self.root / ".work" / f"{stage}-{key}"

    def lock_of(self, stage: str, key: str) -> Path:
        """The lock of whoever computes the entry or removes it."""
        return self.root / ".locks" / f"{stage}-{key}.lock"

    def locked(self, stage: str, key: str) -> AbstractContextManager[None]:
        """Be the only one who computes this entry; waits for another process that does."""
        what = f"{stage} {key} is being computed"
        return notes.locked(self.root, self.lock_of(stage, key), what)

    def _create(self, stage: str, key: str, settings: Mapping[str, Any], compute: Compute) -> Entry:
        parent, home = self.root / stage, self.work_of(stage, key)
        try:
            sharing.make_directory(parent)
            sharing.make_directory(home)
            for stale in home.glob("result-*"):  # whoever holds the lock may clear it
                _remove(stale)
            partial = sharing.temporary_directory(home, "result-")
        except OSError as error:
            raise StoreError(f"store_dir={self.root}: {locks.why_not(error)}") from error
        try:
            start = time.perf_counter()
            facts = compute(Work(partial, home / "checkpoints"))
            seconds = time.perf_counter() - start
            seal(partial, stage, key, settings, facts, seconds)
            if (other := self._install(partial, stage, key)) is not None:
                return other
        except BaseException as error:
            shutil.rmtree(partial, ignore_errors=True)
            for directory in (home / "checkpoints", home):
                with suppress(OSError):  # it holds something, or is not there
                    directory.rmdir()
            of_disk = isinstance(error, OSError) and error.errno in DISK_ERRORS
            if of_disk or isinstance(error, SafetensorError):  # which wraps what the system said
                raise StoreError(
                    f"store_dir={self.root}: the result of {stage} could not be written ({error})"
                ) from error
            raise
        return Entry(stage, key, parent / key, facts, seconds, reused=False)

    def _install(self, partial: Path, stage: str, key: str) -> Entry | None:
        """Rename a finished result into place; returns the one that was there already, if any.

        There is one only where locks do not hold between the hosts that share the store.
        """
        target = self.path_of(stage, key)
        try:
            partial.rename(target)
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise
            if (other := self.get(stage, key)) is not None:
                shutil.rmtree(partial, ignore_errors=True)
                return other
            partial.rename(target)
        fsync_directory(target.parent)
        return None

    def _move_aside(self, stage: str, key: str, damage: str) -> None:
        """Make room for a damaged entry's successor, unless another run saw it first."""
        path = self.path_of(stage, key)
        aside = path.with_name(f"{key}.damaged-{time.time_ns()}")
        try:
            path.rename(aside)
        except FileNotFoundError:
            return
        except OSError as error:
            raise StoreError(
                f"store_dir={self.root}: the stored {stage} {key} is damaged ({damage}) and cannot "
                f"be moved aside ({reason(error)})"
            ) from error
        log.warning("the stored %s %s is damaged (%s): moved to %s", stage, key, damage, aside)


def _remove(leftover: Path) -> None:
    """Remove what an earlier run has left; where that is not ours to remove, say whose it is."""
    if why := sharing.remove(leftover):
        warn_once("%s: left by an earlier run, cannot be removed (%s)", leftover, why)
