"""The images of a run: opened when first needed, corrupted where a data check says so."""

import logging
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch

from sanity.checks.base import Check, DataCheck, Effect
from sanity.core.streams import generator
from sanity.data import lost_classes, open_packed, split
from sanity.datasets.base import Dataset, Examples, Packed
from sanity.training.images import Images
from sanity.training.loop import Splits

log = logging.getLogger(__name__)


@dataclass
class Data:
    """Two views of one data set: clean, and as pruning sees it."""

    dataset: Dataset
    data_dir: Path
    seed: int
    check: Check
    device: torch.device

    @cached_property
    def clean(self) -> Splits:
        """What tickets are trained on, and what everything is judged on."""
        train, validation, test = self._examples
        return Splits(
            train=self._images(train),
            validation=None if validation is None else self._images(validation),
            test=self._images(test),
        )

    @cached_property
    def seen_by_pruning(self) -> Splits:
        """The same with the training images corrupted, if the check is about data."""
        if not isinstance(self.check, DataCheck):
            return self.clean
        corrupted, _ = self._corrupted
        return Splits(self._images(corrupted), self.clean.validation, self.clean.test)

    @property
    def effect(self) -> Effect | None:
        """What the data check changed, if there is one."""
        return self._corrupted[1] if isinstance(self.check, DataCheck) else None

    @property
    def facts(self) -> dict[str, int]:
        """What is to be known of the test set: its size, its largest class, and its ``overlap``.

        That is how many test images are training images as well, of the whole data set.
        """
        labels = self._examples[2].labels
        return {
            "overlap": self._packed.overlap,
            "test_images": len(labels),
            "largest_class": int(labels.bincount().max()),
        }

    @property
    def remarks(self) -> list[str]:
        """What a reader of the results should know of the data."""
        lost = lost_classes(self._packed, self.dataset, self._examples)
        return [*self._packed.remarks, *lost]

    def class_name(self, label: int) -> str:
        """What a class is called where it is spoken of."""
        return self._packed.train.class_name(label)

    @cached_property
    def _packed(self) -> Packed:
        return open_packed(self.dataset, self.data_dir)

    @cached_property
    def _examples(self) -> tuple[Examples, Examples | None, Examples]:
        splits = split(self._packed, self.dataset, self.seed)
        for line in lost_classes(self._packed, self.dataset, splits):
            log.warning("%s", line)
        return splits

    @cached_property
    def _corrupted(self) -> tuple[Examples, Effect]:
        assert isinstance(self.check, DataCheck)
        return self.check.corrupt(self._examples[0], generator(self.seed, "corruption"))

    def _images(self, examples: Examples) -> Images:
        return Images(examples, self.dataset, self.device)
