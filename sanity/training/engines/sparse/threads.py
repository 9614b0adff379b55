"""Threads that go through one list of kernels, each with a part of its own."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from sanity.training.engines import team
from sanity.training.engines.compiled import kernel
from sanity.training.engines.sparse.lanes import Array
from sanity.training.engines.sparse.vectors import atomic_add


@dataclass(frozen=True)
class Share:
    """A thread's part of a batch: ``thread`` of ``threads``.

    ``valid`` are the number of the batch's last block, and how many images that has.
    """

    thread: int
    threads: int
    valid: tuple[int, int]

    @property
    def blocks(self) -> tuple[int, int]:
        """Its blocks: the first, and the one behind the last."""
        return self.of(self.valid[0] + 1)

    def of(self, count: int) -> tuple[int, int]:
        """Its part of ``count`` things: the first, and the one behind the last."""
        return count * self.thread // self.threads, count * (self.thread + 1) // self.threads


Kernel = Callable[[Share], None]

BARRIER = None
"""In a list of kernels: go on when all threads are here."""

Steps = Sequence[Kernel | None]


ARRIVED, TURN, BROKEN = range(3)
PATIENCE = 20_000
"""Looks at who has arrived before a thread lets others have its core: some tens of microseconds."""


@kernel
def _arrive(state: Array, threads: int) -> int:
    """Wait until all threads have arrived; -1, or the turn that is still to end after a while."""
    turn = atomic_add(state, TURN, 0)
    if atomic_add(state, ARRIVED, 1) == threads - 1:
        atomic_add(state, ARRIVED, -threads)
        atomic_add(state, TURN, 1)
        return -1
    for _ in range(PATIENCE):
        if atomic_add(state, TURN, 0) != turn:
            return -1
    return turn


class Barrier:
    """Where ``threads`` threads wait for each other; a kernel takes less time than a lock does."""

    def __init__(self, threads: int) -> None:
        self.threads, self._state = threads, np.zeros(3, np.int64)

    def wait(self) -> None:
        """Go on when all are here; raises BrokenBarrierError when one never will be."""
        if self.threads == 1:
            return
        turn = _arrive(self._state, self.threads)
        while turn >= 0 and self._state[TURN] == turn:
            if self._state[BROKEN]:
                raise threading.BrokenBarrierError
            time.sleep(0)  # lets go of the interpreter, and of the core

    def abort(self) -> None:
        """Let nobody wait any more."""
        self._state[BROKEN] = 1


class Threads:
    """At most ``count`` threads, this one included."""

    def __init__(self, count: int) -> None:
        self.count = count

    def run(self, steps: Steps, images: int, lanes: int) -> None:
        """Run all steps for a batch of ``images``, in blocks of ``lanes``."""
        blocks = -(-images // lanes)
        valid = blocks - 1, images - (blocks - 1) * lanes
        barrier = Barrier(1)

        def work(thread: int, threads: int) -> None:
            barrier.threads, share = threads, Share(thread, threads, valid)
            try:
                for step in steps:
                    if step is BARRIER:
                        barrier.wait()
                    else:
                        step(share)
            except threading.BrokenBarrierError:
                pass  # what broke it says more
            except BaseException:
                barrier.abort()
                raise

        team.run(work, min(self.count, blocks))
