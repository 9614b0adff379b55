"""Named random streams: every use of chance has its own generator, derived from the run's seed.

One stream never disturbs another, so that two arms of an experiment differ in nothing but what
they are meant to differ in, and a stage can resume at any epoch without replaying earlier ones.
"""

import hashlib
import pickle
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

NUMPY_LIMIT = 2**32


def stream(seed: int, *name: str | int) -> int:
    """What the stream ``name`` of ``seed`` begins with: below 2^63."""
    label = "/".join(str(part) for part in (seed, *name))
    digest = hashlib.sha256(label.encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(seed: int, *name: str | int) -> torch.Generator:
    """A CPU generator for the stream ``name`` of ``seed``, as ``generator(0, "order", epoch)``."""
    return torch.Generator().manual_seed(stream(seed, *name))


def seed_of(generator: torch.Generator) -> int:
    """A seed drawn from ``generator``."""
    return int(torch.randint(2**63 - 1, (), generator=generator))


def reseed(start: int) -> None:
    """Let the global generators of torch (of all its devices), NumPy and Python begin anew.

    They are what code of others draws from: dropout, networks that initialise themselves.
    """
    torch.manual_seed(start)
    np.random.seed(start % NUMPY_LIMIT)
    random.seed(start)


def global_states() -> bytes:
    """How far the global generators have come, on the CPU."""
    states = (torch.get_rng_state().numpy().tobytes(), np.random.get_state(), random.getstate())
    return hashlib.sha256(pickle.dumps(states)).digest()


@contextmanager
def seeded(start: int) -> Iterator[None]:
    """The global generators begin at ``start`` in this block, and go on as before after it."""
    numpy, python = np.random.get_state(), random.getstate()
    with torch.random.fork_rng(devices=[]):
        reseed(start)
        try:
            yield
        finally:
            np.random.set_state(numpy)
            random.setstate(python)
