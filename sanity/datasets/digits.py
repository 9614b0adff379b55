"""Handwritten digits of 8x8 pixels, which come with scikit-learn: the default, no download."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch

from sanity.data.order import fixed_order, stratified
from sanity.datasets.base import Dataset, Examples

TEST_SIZE = 360


@dataclass
class Digits(Dataset):
    """1,437 training and 360 test images with pixels from 0 to 16.

    The split is a fixed, stratified one: the file is ordered by writer, and its last images come
    from people whom the first ones do not know.
    """

    cites = ("alpaydin1998optical", "pedregosa2011scikit")

    name: str = "digits"
    num_classes: int | None = 10
    channels: int = 1
    image_size: int | None = 8
    mean: Sequence[float] | None = (0.305,)
    std: Sequence[float] | None = (0.376,)
    pixel_max: int = 16

    sizes: ClassVar[Mapping[str, int]] = {"train": 1437, "test": TEST_SIZE}
    pixel_digests: ClassVar[Mapping[str, str]] = {
        "train": "d60749cc94ec9587e7d5d65450c0be0331faa8fa45c599bf6bee5051c066aa76",
        "test": "53b2935fe3b9b6fbb64e0a271f3ca3a6e3c14eb5dba6a6bb03893733dcc6941d",
    }
    label_digests: ClassVar[Mapping[str, str]] = {
        "train": "24d8e3df5b2b9b19abab7be50eeda667eeb62bd54be26c10b7846bff60a26530",
        "test": "8dfed5e078a01dad0c39cddcf57ab3423cc399946c4d0a846c0ac3c0a5cbd6a2",
    }

    def read(self, data_dir: Path) -> dict[str, Examples]:
        """Take the images out of scikit-learn and split them."""
        from sklearn.datasets import load_digits

        digits = load_digits()
        images = torch.from_numpy(digits.images).to(torch.uint8).unsqueeze(-1)
        labels = torch.from_numpy(digits.target).to(torch.int64)
        test = stratified(labels, TEST_SIZE, fixed_order(len(labels)))
        train = torch.ones(len(labels), dtype=torch.bool)
        train[test] = False
        examples = Examples(images, labels, 10)
        return {"train": examples.pick(train), "test": examples.pick(test)}
