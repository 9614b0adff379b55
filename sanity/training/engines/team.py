"""Several threads for one piece of work: those of PyTorch's OpenMP, where it has one.

OpenMP's threads wait for more work in a loop. Threads of one's own would have to share the cores
with them: on two cores a step of a small network took twice as long.
"""

import ctypes
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

Work = Callable[[int, int], None]
"""What each thread does; called with its number, and how many there are."""

_ENTRY = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


def run(work: Work, threads: int) -> None:
    """Let up to ``threads`` threads work at once, this one among them; ends when all have.

    Raises what the first of them raised that did; one that waits for others has to see to it that
    it is not left waiting.
    """
    if threads == 1:
        work(0, 1)
        return
    errors: list[BaseException] = []

    def noted(thread: int, count: int) -> None:
        try:
            work(thread, count)
        except BaseException as error:
            errors.append(error)

    if (openmp := _openmp()) is None:
        others = [_own_threads(threads).submit(noted, one, threads) for one in range(1, threads)]
        noted(0, threads)
        for one in others:
            one.result()
    else:

        def enter(_: Any) -> None:  # it may give fewer threads than are asked for
            noted(openmp.omp_get_thread_num(), openmp.omp_get_num_threads())

        openmp.GOMP_parallel(_ENTRY(enter), None, threads, 0)
    if errors:
        raise errors[0]


@cache
def _openmp() -> Any:
    """The OpenMP that PyTorch has loaded; None where it has none of that name."""
    try:
        # RTLD_NOLOAD: one beside PyTorch's would be no better than threads of one's own.
        found = ctypes.CDLL("libgomp.so.1", mode=os.RTLD_NOLOAD | os.RTLD_NOW)
        return found if found.GOMP_parallel and found.omp_get_thread_num else None
    except (OSError, AttributeError):
        return None


@cache
def _own_threads(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads - 1, "team")
