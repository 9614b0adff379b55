"""Several threads that go through one list of kernels, each with blocks of its own."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass


@dataclass(frozen=True)
class Share:
    """A thread's part of a batch: blocks ``blocks[0]`` up to ``blocks[1]``.

    ``valid`` are the number of the batch's last block, and how many images that has.
    """

    thread: int
    blocks: tuple[int, int]
    valid: tuple[int, int]


Kernel = Callable[[Share], None]

BARRIER = None
"""In a list of kernels: go on when all threads are here."""

Steps = Sequence[Kernel | None]


class Threads:
    """At most ``count`` threads, this one included; the others wait until they are needed."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._others = ThreadPoolExecutor(max(1, count - 1), "sparse")

    def run(self, steps: Steps, images: int, lanes: int) -> None:
        """Run all steps for a batch of ``images``, in blocks of ``lanes``."""
        blocks = -(-images // lanes)
        valid = blocks - 1, images - (blocks - 1) * lanes
        count = min(self.count, blocks)
        cuts = [blocks * number // count for number in range(count + 1)]
        shares = [Share(n, (cuts[n], cuts[n + 1]), valid) for n in range(count)]
        barrier = threading.Barrier(count)
        others = [self._others.submit(_work, steps, one, barrier) for one in shares[1:]]
        try:
            _work(steps, shares[0], barrier)
        except threading.BrokenBarrierError:  # what broke it says more
            for one in others:
                one.result()
            raise
        for one in others:
            one.result()


def _work(steps: Steps, share: Share, barrier: threading.Barrier) -> None:
    try:
        for step in steps:
            if step is not BARRIER:
                step(share)
            elif barrier.parties > 1:
                barrier.wait()
    except BaseException:
        barrier.abort()
        raise
