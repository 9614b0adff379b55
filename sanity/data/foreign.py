"""Files of others: found, read within bounds, and named so that no terminal takes harm."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path


def files_below(top: Path) -> Iterator[Path]:
    """All files in a tree, links to files among them, in no order; linked folders are passed over.

    Unlike ``Path.rglob`` it goes to any depth, and raises OSError for a folder that cannot be
    read instead of leaving it out.
    """
    folders = [top]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(Path(entry.path))
                else:
                    yield Path(entry.path)


def read_file(path: Path, most: int) -> bytes:
    """The contents of a plain file of at most ``most`` bytes, links followed.

    Raises ValueError for a larger one and for pipes and devices, of which none is waited for,
    OSError where the file cannot be read.
    """
    with open(path, "rb", opener=_open_at_once) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("is no plain file")
        if status.st_size > most:
            raise ValueError(f"has {status.st_size:,} bytes, which is more than {most:,}")
        content = file.read(status.st_size + 1)
    if len(content) != status.st_size:
        raise ValueError("changes while it is read")
    return content


def _open_at_once(path: str, flags: int) -> int:
    """Open without waiting for somebody at the other end of a pipe."""
    return os.open(path, flags | os.O_NONBLOCK)
