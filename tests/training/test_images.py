"""Augmentation on the device against a plain restatement, image by image."""

import itertools

import pytest
import torch

from sanity.datasets.base import Examples
from sanity.datasets.cifar10 import Cifar10
from sanity.training.images import Images

COUNT = 40
CPU = torch.device("cpu")


@pytest.fixture
def images() -> Images:
    random = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (COUNT, 32, 32, 3), generator=random, dtype=torch.uint8)
    return Images(Examples(pixels, torch.arange(COUNT) % 10, 10), Cifar10(), CPU)


def normalised(pixels: torch.Tensor) -> torch.Tensor:
    mean, std = torch.tensor(Cifar10().mean), torch.tensor(Cifar10().std)
    return ((pixels.float() / 255 - mean) / std).permute(2, 0, 1)


def test_plain_batches_are_normalised_and_in_order(images: Images) -> None:
    x = torch.cat([x for x, _ in images.in_order(16)])
    y = torch.cat([y for _, y in images.in_order(16)])
    assert torch.equal(y, torch.arange(COUNT) % 10)
    expected = torch.stack([normalised(image) for image in images.pixels])
    torch.testing.assert_close(x, expected)
    assert x.is_contiguous()


def original_bytes(image: torch.Tensor) -> bytes:
    """The pixels that a normalised image [C, H, W] was made of."""
    mean, std = torch.tensor(Cifar10().mean), torch.tensor(Cifar10().std)
    pixels = (image.permute(1, 2, 0) * std + mean) * 255
    return pixels.round().to(torch.uint8).numpy().tobytes()


def test_every_augmented_image_is_a_shifted_crop_perhaps_mirrored(images: Images) -> None:
    """Each is looked up among all 81 crops of every zero-padded original and their mirrors."""
    padded = torch.nn.functional.pad(images.pixels, (0, 0, 4, 4, 4, 4))
    candidates = {}
    for index, row, column in itertools.product(range(COUNT), range(9), range(9)):
        crop = padded[index, row : row + 32, column : column + 32]
        candidates[crop.contiguous().numpy().tobytes()] = (index, row, column, False)
        candidates[crop.flip(1).contiguous().numpy().tobytes()] = (index, row, column, True)
    batches = list(images.epoch(seed=0, epoch=0, batch_size=16))
    assert [len(y) for _, y in batches] == [16, 16, 8]
    seen = []
    for x, y in batches:
        for image, label in zip(x, y, strict=True):
            found = candidates[original_bytes(image)]
            assert int(label) == found[0] % 10
            seen.append(found)
    assert sorted(index for index, *_ in seen) == list(range(COUNT))
    assert len({(row, column) for _, row, column, _ in seen}) > 20
    assert {mirrored for *_, mirrored in seen} == {False, True}


def test_epochs_differ_and_repeat(images: Images) -> None:
    def epoch(seed: int, number: int) -> torch.Tensor:
        return torch.cat([x for x, _ in images.epoch(seed, number, 16)])

    assert torch.equal(epoch(0, 1), epoch(0, 1))
    assert not torch.equal(epoch(0, 1), epoch(0, 2))
    assert not torch.equal(epoch(0, 1), epoch(1, 1))


def test_an_epoch_entered_late_has_the_same_batches_from_there_on(images: Images) -> None:
    whole, late = list(images.epoch(0, 2, 16)), list(images.epoch(0, 2, 16, 0, 1))
    assert len(late) == len(whole) - 1
    for (x, y), (same_x, same_y) in zip(whole[1:], late, strict=True):
        assert torch.equal(x, same_x)
        assert torch.equal(y, same_y)
    assert list(images.epoch(0, 2, 16, 0, 3)) == []


def test_a_last_batch_of_one_image_is_left_out(images: Images) -> None:
    assert images.steps(13) == 3
    assert sum(len(y) for _, y in images.epoch(0, 0, 13)) == 39
    assert images.steps(16) == 3
