"""Named random streams: every use of chance has its own generator, derived from the run's seed.

One stream never disturbs another, so that two arms of an experiment differ in nothing but what
they are meant to differ in, and a stage can resume at any epoch without replaying earlier ones.
"""

import hashlib

import torch


def generator(seed: int, *name: str | int) -> torch.Generator:
    """A CPU generator for the stream ``name`` of ``seed``, as ``generator(0, "order", epoch)``."""
    label = "/".join(str(part) for part in (seed, *name))
    digest = hashlib.sha256(label.encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
