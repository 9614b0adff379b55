"""How kernels are compiled: by numba, for this CPU, once for all processes that use this code."""

import hashlib
import logging
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numba
from llvmlite import binding

FAST_MATH = {"contract", "reassoc", "nsz", "arcp"}
"""Sums in any order, so that they fill vectors; what is no number stays that."""

_kernels: list[Any] = []
_used: set[str] = set()

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Cpu:
    """``lanes``: floats of a vector; ``pixels``: vectors of a tile, which its registers hold;
    ``group``: channels of a tile, where it has several."""

    name: str
    lanes: int
    pixels: int
    group: int


@cache
def cpu() -> Cpu:
    """The CPU as kernels are compiled for it: this one, or as numba's variables have it."""
    name, features = numba.config.CPU_NAME, numba.config.CPU_FEATURES
    if features is None:
        features = "" if name else binding.get_host_cpu_features().flatten()
    if "+avx512f" in features:
        return Cpu("avx512", 16, 16, 4)
    if "+avx2" in features and "+fma" in features:
        return Cpu("avx2", 8, 8, 2)
    return Cpu("portable", 4, 8, 2)


@cache
def cache_directory() -> Path:
    """Where compiled kernels are kept, named after their code: the user's, or a temporary one."""
    sources = sorted(Path(__file__).parent.rglob("*.py"))
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:12]
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    directory = Path(home) / "sanity" / f"kernels-{digest}"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            return directory
    except OSError:  # a home that is not there, or nobody's
        return Path(tempfile.mkdtemp(prefix="sanity-kernels-"))


def kernel(function: Callable[..., Any]) -> Any:
    """Compile at first use; it runs without the GIL, checks no bounds, and is kept on the disk."""
    before = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = str(cache_directory())
    try:
        found = numba.njit(
            function,
            fastmath=FAST_MATH,
            boundscheck=False,
            cache=True,
            error_model="numpy",
            nogil=True,
        )
    finally:
        numba.config.CACHE_DIR = before
    _kernels.append(found)
    return found


@contextmanager
def first_use(engine: str) -> Iterator[None]:
    """Say, once in a process, that the kernels of an engine are compiled here.

    numba keeps them in a directory named after theirs.
    """
    if engine in _used:
        yield
        return
    if not any(cache_directory().glob(f"{engine}_*/*.nbi")):
        log.info("compiling the %s engine for this CPU (%s), once", engine, cpu().name)
    start, before = time.perf_counter(), _misses()
    yield
    _used.add(engine)
    if _misses() > before:
        seconds = time.perf_counter() - start
        log.info("compiled in %.0f s, kept in %s", seconds, cache_directory())


def _misses() -> int:
    """How many kernels have been compiled in this process."""
    return sum(sum(one.stats.cache_misses.values()) for one in _kernels)
