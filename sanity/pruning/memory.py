"""The memory that a pruner's batches take: estimated before it starts, told, split where it can be.

The tensors that are alive at each operation are counted for two small batches, whatever the pruner
does with them; how many bytes they have is a straight line in the number of images.
"""

import logging
import weakref
from contextlib import AbstractContextManager
from copy import deepcopy
from dataclasses import replace
from math import ceil

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from sanity.core import memory
from sanity.networks.operations import Operation, Watcher
from sanity.pruners.base import Batches, Pruner, Scoring

log = logging.getLogger(__name__)

TOLD = 1 << 30  # bytes from which on the need is told
MOST = 4 << 30  # bytes from which on batches are split; those of the paper's networks never are
FEW = (2, 4)  # images that are tried; one alone is refused by batch norms of 1x1 outputs
SMALL = 1 << 18  # values of a batch from which on it is looked at: that takes PyTorch a second
ALIKE = 1e-3  # relative to what outputs differ by: more than rounding makes of it


def fitted(pruner: Pruner, scoring: Scoring, name: str) -> Batches:
    """The batches of ``scoring``, in parts where they would need more than ``MOST``.

    They are split where images do not matter to each other, as they do by batch norm's statistics,
    and scores change by a factor alone: other than rounding nothing else then comes out. What is
    needed is told from ``TOLD`` on, with a warning where the device has less. ``name`` is the
    pruner's option. ``scoring`` is for trying: its generator is drawn from.
    """
    batches = scoring.batches
    if max((images.numel() for images, _ in batches), default=0) < SMALL:
        return batches
    images, need = len(_largest(batches)[0]), estimate(pruner, scoring)
    if need < TOLD:
        return batches
    told = f"pruner={name}: scores batches of {images:,} images: about {_gb(need)} of memory"
    parts = _parts(images, need) if pruner.adds_up else 1
    if parts > 1 and are_independent(scoring):
        need /= parts
        told += f", or {_gb(need)} in {parts} parts each, which add up to the same"
        batches = _split(batches, parts)
    left = memory.available(batches[0][0].device)
    if need <= left:
        log.info("%s", told)
        return batches
    more = len(scoring.batches) < pruner.samples_per_class
    advice = "; more pruner.batches are smaller ones, with other scores" if more else ""
    log.warning("%s, and %s are left%s", told, _gb(left), advice)
    return batches


def estimate(pruner: Pruner, scoring: Scoring) -> float:
    """Bytes that scoring the largest of the batches takes at its peak, beside what is there.

    0 where the pruner does not score a few images, in which case nobody knows.
    """
    images = len(_largest(scoring.batches)[0])
    if images <= FEW[1]:
        return 0.0
    try:
        fewer, more = (_alive(pruner, scoring, count) for count in FEW)
    except Exception as error:  # of a pruner or network of the user's, which is asked too little
        log.debug("no estimate of the memory that scoring takes: %s", error)
        return 0.0
    if len(fewer) != len(more):  # what is done depends on how many images there are
        fewer, more = [max(fewer, default=0)], [max(more, default=0)]
    steps = (images - FEW[0]) / (FEW[1] - FEW[0])
    lines = zip(fewer, more, strict=True)
    return max((few + (many - few) * steps for few, many in lines), default=0.0)


def are_independent(scoring: Scoring) -> bool:
    """Whether the network, in training mode, gives an image the same whatever images are with it.

    Batch norms couple them; whether anything else does is asked of the network itself.
    """
    network, images = deepcopy(scoring.network).train(), scoring.batches[0][0][: FEW[1]]
    if any(isinstance(module, _BatchNorm) for module in network.modules()):
        return False
    half = len(images) // 2
    with torch.no_grad(), _own_chance(images):
        together: Tensor = network(images)
        apart = torch.cat([network(images[:half]), network(images[half:])])
    spread = (together - together.mean(dim=0)).abs().max()  # 0 where images do not matter at all
    return bool(spread > 0 and (together - apart).abs().max() <= ALIKE * spread)


def _largest(batches: Batches) -> tuple[Tensor, Tensor]:
    return max(batches, key=lambda batch: len(batch[0]))


def _alive(pruner: Pruner, scoring: Scoring, count: int) -> list[int]:
    """The bytes that each operation sees while ``count`` images are scored."""
    images, labels = _largest(scoring.batches)
    few = [(images[:count], labels[:count])]
    scoring = replace(scoring, network=deepcopy(scoring.network), batches=few)
    meter = _Meter()
    with _own_chance(images), meter:
        deepcopy(pruner).score(scoring)
    return meter.alive


def _own_chance(images: Tensor) -> AbstractContextManager[None]:
    """What is drawn in this block (by dropout) is drawn again after it."""
    found: AbstractContextManager[None] = torch.random.fork_rng(
        [images.device] if images.is_cuda else []
    )
    return found


class _Meter(Watcher):
    """Counts the bytes of the tensors that are made while it is entered, as long as they live.

    ``alive`` is their number after each operation, and as much again as it has made: convolutions
    work in copies of another layout.
    """

    def __init__(self) -> None:
        super().__init__()
        self.alive: list[int] = []
        self._now, self._storages = 0, set[int]()

    def note(self, operation: Operation) -> None:
        """Count what has come out of it."""
        before = self._now
        for one in operation.outputs:
            self._add(one.untyped_storage())
        self.alive.append(2 * self._now - before)

    def _add(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key not in self._storages:  # no view of what is there
            self._storages.add(key)
            self._now += size
            weakref.finalize(storage, self._remove, key, size).atexit = False

    def _remove(self, key: int, size: int) -> None:
        self._storages.discard(key)
        self._now -= size


def _parts(images: int, need: float) -> int:
    """The fewest equal parts that need no more than ``MOST`` each; of one image, if none do."""
    fewest = min(images, ceil(need / MOST))
    return next(parts for parts in range(fewest, images + 1) if images % parts == 0)


def _split(batches: Batches, parts: int) -> Batches:
    """Each batch in equal parts; what is a mean over a batch comes out ``parts`` times as large."""
    return [
        part
        for images, labels in batches
        for part in zip(images.chunk(parts), labels.chunk(parts), strict=True)
    ]


def _gb(size: float) -> str:
    return f"{size / 1e9:.1f} GB"
