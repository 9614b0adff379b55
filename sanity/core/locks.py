"""Locks between processes and hosts: ``flock``, which ends with its process, however that ends.

On a shared file system (NFSv4, Lustre mounted with flock) they hold between hosts, and the file
server lets go of those of a host that is gone. So no lock is ever stale, and none is broken.
"""

import errno
import fcntl
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from sanity.core import sharing
from sanity.core.errors import reason

log = logging.getLogger(__name__)

POLL = 0.2  # seconds between two looks at a lock that another process holds
NO_LOCKS = {errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP}


def lock_at(path: Path) -> FileLock:
    """The lock of the file ``path``, not taken yet; taking it raises OSError or Timeout."""
    # Where there is no flock, the library's other way is a file that says who is there: of a
    # process killed on another host it would say so for ever.
    if sharing.is_shared(path.parent):  # taking a lock takes writing its file
        return FileLock(path, fallback_to_soft=False, mode=0o664)
    return FileLock(path, fallback_to_soft=False)


@contextmanager
def held(path: Path, what: str) -> Iterator[None]:
    """Hold the lock ``path``; while another process does, wait, and say once for ``what``."""
    lock = lock_at(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        log.info("%s by %s: waiting for it", what, holder(path) or "another run")
        lock.acquire(poll_interval=POLL)
    try:
        note(path)
        yield
    finally:
        unnote(path)  # a store has as many locks as results, and an empty file takes no block
        lock.release()


def refuse_without_locks(path: Path) -> None:
    """Raise OSError where a lock cannot be taken or, as on some network disks, keeps nobody out."""
    with sharing.append(path) as one, sharing.append(path) as other, suppress(BlockingIOError):
        # Whoever is kept out, be it by another process that tries the same, has the proof.
        fcntl.flock(one, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        raise OSError(errno.ENOLCK, "a lock was taken twice")


def is_held(path: Path) -> bool:
    """Whether a living process holds the lock ``path``, on this host or one that shares it."""
    if not path.exists():
        return False
    lock = lock_at(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    lock.release()
    return False


def why_not(error: OSError) -> str:
    """What the system says of a lock that cannot be taken, in words that help."""
    if error.errno in NO_LOCKS:
        return "its file system has no locks (flock): mount it with them, or choose another"
    said = reason(error)
    if error.errno in (errno.EACCES, errno.EPERM) and isinstance(error.filename, str):
        path = Path(error.filename)
        if whose := sharing.owner(path if path.exists() else path.parent):
            said = f"{said}: {path} belongs to {whose}"
    return said


def note(path: Path) -> None:
    """Say in the file of a lock that this process holds it."""
    _write(path, f"process {os.getpid()} on {socket.gethostname()}")


def unnote(path: Path) -> None:
    """Say nothing in it any more."""
    _write(path, "")


def holder(path: Path) -> str | None:
    """Who holds a lock, by its own word, which a process that was killed leaves behind."""
    with suppress(OSError, UnicodeDecodeError):
        text = path.read_text(encoding="utf-8")
        if text.isprintable() and 0 < len(text) < 200:
            return text
    return None


def _write(path: Path, text: str) -> None:
    with suppress(OSError):  # on a full disk nobody is told who holds it
        path.write_text(text, encoding="utf-8")
