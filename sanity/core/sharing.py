"""Who may change what we make: its user and, in a directory that is the group's, the group.

Files and directories get the permissions that the umask (or a default ACL) gives them. Where the
directory that they are made in is its group's, which is to say group-writable and setgid
(``chmod g+rws``), the group may do with them what their user may, whatever the umask: so that
colleagues go on with, and clean up, what one of them has left. Directories hand this on.
"""

import os
import secrets
import shlex
import shutil
import stat
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from sanity.core.errors import reason

OF_GROUP = stat.S_ISGID | stat.S_IWGRP


def is_shared(directory: Path) -> bool:
    """Whether a directory is its group's; not one that cannot be looked at."""
    try:
        mode = directory.stat().st_mode
    except OSError:
        return False
    return stat.S_ISDIR(mode) and mode & OF_GROUP == OF_GROUP


def follow(path: Path) -> None:
    """Let the group share ``path``, which is new and ours, if its directory is the group's."""
    if not is_shared(path.parent):
        return
    mode = path.stat().st_mode
    wanted = mode | (mode & stat.S_IRWXU) >> 3 | (stat.S_ISGID if stat.S_ISDIR(mode) else 0)
    if wanted != mode:
        with suppress(OSError):  # somebody else's after all, or a file system without modes
            path.chmod(stat.S_IMODE(wanted))


def make_directory(path: Path) -> None:
    """Make ``path``, and what is missing above it, unless it is there."""
    if path.is_dir():
        return
    if path.parent != path:
        make_directory(path.parent)
    try:
        path.mkdir()
    except FileExistsError:
        if not path.is_dir():
            raise
    else:
        follow(path)


def temporary_directory(parent: Path, prefix: str = "") -> Path:
    """A new directory in ``parent``; unlike those of ``tempfile``, no private one."""
    path = parent / f"{prefix}{secrets.token_hex(4)}"
    path.mkdir()
    follow(path)
    return path


def temporary_file(path: Path) -> tuple[int, Path]:
    """A new file beside ``path``, open for writing, to take its place."""
    new = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
    # The kernel knows umask and ACLs; who asks for the umask changes it for all threads.
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    follow(new)
    return handle, new


def append(path: Path) -> TextIO:
    """``path``, open to write at its end, in UTF-8."""
    is_new = not path.exists()
    file = path.open("a", encoding="utf-8")
    if is_new:
        follow(path)
    return file


def publish(path: Path) -> None:
    """Give a file that a library has made private the permissions of any other new one."""
    handle, other = temporary_file(path)
    try:
        path.chmod(stat.S_IMODE(os.fstat(handle).st_mode))
    finally:
        os.close(handle)
        other.unlink(missing_ok=True)


def remove(path: Path) -> str:
    """Remove ``path`` with all that is in it; returns why some of it, if any, is still there."""
    try:
        path.unlink() if path.is_symlink() else shutil.rmtree(path)
    except FileNotFoundError:  # somebody else is at it as well
        shutil.rmtree(path, ignore_errors=True)
    except OSError as error:
        shutil.rmtree(path, ignore_errors=True)  # what can be
        closed = [one for one in [path, *path.rglob("*")] if not os.access(one, os.W_OK)]
        whose = f": {closed[0]} belongs to {owner(closed[0])}" if closed else ""
        return f"{reason(error)}{whose}"
    return ""


def owner(path: Path) -> str:
    """The name of the user whose ``path`` is, or the number; empty where that cannot be seen."""
    try:
        return path.owner()
    except KeyError:
        return f"user {path.stat().st_uid}"
    except OSError:
        return ""


def cure(directory: Path) -> str:
    """The commands that make a directory, and all below it, its group's."""
    place = shlex.quote(str(directory))
    try:
        group = directory.group()
    except KeyError:
        group = str(directory.stat().st_gid)
    return (
        f"chgrp -R {group} {place}; chmod -R g+rwX {place}; "
        f"find {place} -type d -exec chmod g+s {{}} +"
    )


def hint(directory: Path, *inside: str) -> str | None:
    """What to tell who leaves in ``directory`` what colleagues cannot change, or None.

    That is so where it seems to be meant for more than its user (it is group-writable, setgid or
    somebody else's), but new directories in it, or those ``inside``, are closed to its group.
    """
    try:
        found = directory.stat()
        meant = found.st_mode & OF_GROUP or found.st_uid != os.geteuid()
        if not meant or _takes_in(directory, found.st_gid, inside):
            return None
    except OSError:  # who cannot write there is told of that
        return None
    why = "is group-writable" if found.st_mode & stat.S_IWGRP else "is setgid"
    if found.st_uid != os.geteuid():
        why = f"belongs to {owner(directory)}"
    return (
        f"{directory} {why}, but colleagues cannot change what you leave there; to share it: "
        f"{cure(directory)}"
    )


def _takes_in(directory: Path, group: int, inside: tuple[str, ...]) -> bool:
    """Whether the ``group`` may change what we make in a directory, and what is ``inside``."""
    new = temporary_directory(directory, ".probe-")
    try:
        looked_at = [new, *(directory / name for name in inside)]
        states = [path.stat() for path in looked_at if path.exists()]
    finally:
        new.rmdir()
    return all(state.st_mode & stat.S_IWGRP and state.st_gid == group for state in states)
