"""A zip archive of others: what it claims is checked before anything in it is decompressed.

Nothing is ever unpacked to the disk. Names are checked all the same: an archive that points
elsewhere is not the one that was published.
"""

import io
import stat
import threading
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from sanity.core.errors import DataError, as_line

# Tiny-ImageNet's archive has 120,000 images of 2 KB each, and its index of them has 12 MB.
FILE_BYTES = 32 << 20  # of a file in it, and of the index
TAIL = 1 << 17  # of the file's end, where the index is found
ALL_BYTES = 4 << 30  # of all files in it
FILES = 300_000
METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}  # whose decompression can be bounded
KINDS = {0, stat.S_IFREG, stat.S_IFDIR}  # file types in Unix attributes, 0 for none given
ENCRYPTED = 0x1  # the flag
AGAIN = "delete it to download it again"

Load = Callable[[str], bytes]


def is_archive(path: Path) -> bool:
    """Whether there is an index at the file's end, as every zip has."""
    try:
        return path.is_file() and zipfile.is_zipfile(path)
    except Exception:  # a damaged end can fail in any way
        return False


@contextmanager
def open_archive(path: Path, root: str) -> Iterator[tuple[list[str], Load]]:
    """The names of the files below ``root``, from there on, and a function that loads one.

    Raises DataError for a damaged archive and for one that holds what no archive of images
    does. The function verifies a file's checksum, and raises ValueError where it is damaged; it
    may be called by several threads.
    """
    with _Bounded(path) as raw:
        try:
            archive = zipfile.ZipFile(raw)
        except Exception as error:  # a damaged index fails in any way: struct.error, ValueError...
            raise DataError(f"{path} is damaged ({as_line(error)}): {AGAIN}") from None
        with archive:
            members = _members(path, archive.infolist(), root)
            one = threading.Lock()  # zipfile counts its open members without one

            def load(name: str) -> bytes:
                with one:
                    return _load(archive, members[name])

            yield list(members), load


class _Bounded(io.FileIO):
    """A file of which no more is read at once than any part of an archive takes."""

    def read(self, size: int | None = -1, /) -> bytes:
        """Raise ValueError for more, which zipfile asks for where a damaged index says so."""
        if size is not None and size > FILE_BYTES:
            raise ValueError(f"its index claims {size:,} bytes, more than {FILE_BYTES:,}")
        # Without a size zipfile asks for the file's end, a comment of 64 KiB at most.
        return super().read(TAIL if size is None or size < 0 else size) or b""


def _load(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """The contents of a member; no more is decompressed than it claims to have."""
    try:
        with archive.open(member) as file:
            content = file.read(member.file_size)
            if len(content) == member.file_size and not file.read(1):
                return content
        problem = f"{len(content)} bytes instead of {member.file_size}"
    except Exception as error:  # as many ways to fail as damage has: zlib.error, EOFError, ...
        problem = as_line(error)
    raise ValueError(f"{archive.filename} is damaged there ({problem}): delete it")


def _members(
    path: Path, infos: Iterable[zipfile.ZipInfo], root: str
) -> Mapping[str, zipfile.ZipInfo]:
    """The files below ``root`` by their names from there on."""
    members: dict[str, zipfile.ZipInfo] = {}
    total = count = 0
    for info in infos:
        problem = _problem(info)
        if problem is not None:
            raise DataError(f"{path} holds {as_line(repr(info.orig_filename))}, {problem}: {AGAIN}")
        count, total = count + 1, total + info.file_size
        if count > FILES or total > ALL_BYTES:
            raise DataError(
                f"{path} claims more than {FILES:,} files or {ALL_BYTES:,} bytes of them: {AGAIN}"
            )
        first, *rest = [part for part in info.filename.split("/") if part not in ("", ".")] or [""]
        if first == root and not info.is_dir():
            name = "/".join(rest)
            if name in members:
                raise DataError(f"{path} holds {as_line(repr(name))} twice: {AGAIN}")
            members[name] = info
    return members


def _problem(info: zipfile.ZipInfo) -> str | None:
    """What is wrong with a member, before a byte of it is read."""
    name = info.orig_filename
    elsewhere = name.startswith("/") or name[1:2] == ":" or ".." in name.split("/")
    special = stat.S_IFMT(info.external_attr >> 16) not in KINDS
    if elsewhere or special or "\\" in name or "\0" in name:
        return "which is no plain file below it"
    if info.compress_type not in METHODS or info.flag_bits & ENCRYPTED:
        return "which is encrypted or compressed in another way than images are"
    size = max(info.file_size, info.compress_size)
    if size > FILE_BYTES:
        return f"which claims {size:,} bytes, more than {FILE_BYTES:,}"
    return None
