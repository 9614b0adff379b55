"""Downloads that arrive whole, with the digest they should have, or not at all."""

import hashlib
import http.client
import logging
import os
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from sanity.core import sharing
from sanity.core.console import QUIET, err
from sanity.core.errors import DataError, as_line

log = logging.getLogger(__name__)

CHUNK = 1 << 20  # bytes
TIMEOUT = 30  # seconds without a byte
MOST = 1 << 30  # bytes of one download; the largest of all originals has 248 million


def fetch(url: str, path: Path, md5: str, by_hand: str) -> None:
    """Download ``url`` to ``path`` unless it is there with the digest ``md5``.

    An interrupted download leaves nothing that would be taken for a whole file. Raises DataError
    where the host is out of reach, does not stop sending, or the digest differs; ``by_hand`` says
    how to do without.
    """
    if path.is_file() and _md5(path) == md5:
        return
    state = "damaged" if path.exists() else "missing"
    sharing.make_directory(path.parent)
    partial = path.with_name(f"{path.name}.part")
    log.info("downloading %s", url)
    try:
        with partial.open("wb") as file:
            file.writelines(_chunks(url))
            file.flush()
            os.fsync(file.fileno())
        if (arrived := _md5(partial)) != md5:
            raise DataError(
                f"{url} arrived damaged (its md5 is {arrived}, not {md5}): try again, or {by_hand}"
            )
        sharing.follow(partial)
        partial.replace(path)
    except _UnreachableError as error:
        raise DataError(
            f"{path} is {state} and {url} cannot be downloaded ({error}): {by_hand}"
        ) from None
    finally:
        partial.unlink(missing_ok=True)


class _UnreachableError(Exception):
    """The network's part of what can go wrong, kept apart from the disk's."""


def _chunks(url: str) -> Iterator[bytes]:
    """The contents of ``url`` piece by piece; by bar or by line one sees how far it is."""
    progress = Progress(
        *(TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn()),
        console=err,
        transient=True,
        disable=not err.is_terminal,
    )
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT) as response, progress:
            promised = _promised(response.headers.get("Content-Length"))
            task = progress.add_task(url.rpartition("/")[2], total=promised)
            taken, said = 0, time.monotonic()
            while chunk := response.read(CHUNK):
                taken += len(chunk)
                if taken > (most := MOST if promised is None else promised):
                    raise _UnreachableError(f"it sends more than the {most:,} bytes it should have")
                progress.advance(task, len(chunk))
                if progress.disable and time.monotonic() - said >= QUIET:
                    said = time.monotonic()
                    log.info("%s of %s", _size(taken), _size(promised))
                yield chunk
    except urllib.error.HTTPError as error:
        raise _UnreachableError(f"status {error.code} {as_line(error.reason)}") from None
    except urllib.error.URLError as error:
        raise _UnreachableError(as_line(error.reason)) from None
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise _UnreachableError(as_line(error) or type(error).__name__) from None


def _size(count: int | None) -> str:
    return "unknown size" if count is None else f"{count / 1e6:,.0f} MB"


def _promised(header: str | None) -> int | None:
    """The size that a host announces, None where it says nothing that could be one."""
    if header is None or not header.isdecimal() or len(header) > 20:
        return None
    size = int(header)
    if size > MOST:
        raise _UnreachableError(f"it is said to have {size:,} bytes, more than {MOST:,}")
    return size


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
