"""Validation examples are drawn fairly, and nothing is lost or seen twice."""

from pathlib import Path

import pytest
import torch
from dataset_originals import Toy
from hypothesis import given, settings
from hypothesis import strategies as st

from sanity.core.errors import ConfigError
from sanity.data import split
from sanity.data.order import fixed_order, stratified
from sanity.datasets.base import Examples, Packed


def packed(labels: list[int], classes: int) -> Packed:
    """Every image shows its own number."""
    count = len(labels)
    images = torch.arange(count, dtype=torch.uint8).view(-1, 1, 1, 1)
    examples = Examples(images, torch.tensor(labels), classes)
    test = Examples(images[:7], torch.tensor(labels[:7]), classes)
    return Packed(examples, test, "fingerprint", overlap=0)


def numbers(examples: Examples) -> list[int]:
    return examples.images.flatten().tolist()


BALANCED = packed([i % 5 for i in range(100)], classes=5)


def test_without_validation_all_examples_are_passed_on_uncopied() -> None:
    train, validation, test = split(BALANCED, Toy(), seed=0)
    assert validation is None
    assert train.images.data_ptr() == BALANCED.train.images.data_ptr()
    assert len(train) == 100
    assert numbers(test) == list(range(7))


@pytest.mark.parametrize("size", [1, 5, 23, 50, 98])
def test_validation_is_balanced_and_disjoint(size: int) -> None:
    train, validation, _ = split(BALANCED, Toy(validation_size=size), seed=0)
    assert validation is not None
    assert len(validation) == size
    assert sorted(numbers(train) + numbers(validation)) == list(range(100))
    assert numbers(train) == sorted(numbers(train))  # packed order
    counts = torch.bincount(validation.labels, minlength=5)
    assert counts.max() - counts.min() <= (size % 5 > 0)
    for examples in (train, validation):  # images keep their labels
        assert [number % 5 for number in numbers(examples)] == examples.labels.tolist()


def test_the_seed_decides_who_validates() -> None:
    drawn = [split(BALANCED, Toy(validation_size=20), seed)[1] for seed in (0, 0, 1)]
    first, same, other = [numbers(examples) for examples in drawn if examples is not None]
    assert first == same
    assert first != other
    assert first != list(range(20))


def test_the_limit_keeps_the_first_examples() -> None:
    train, validation, test = split(BALANCED, Toy(validation_size=20, limit=3), seed=0)
    whole, _, _ = split(BALANCED, Toy(validation_size=20), seed=0)
    assert numbers(train) == numbers(whole)[:3]
    assert numbers(test) == [0, 1, 2]
    assert validation is not None
    assert len(validation) == 20
    assert len(split(BALANCED, Toy(limit=1000), seed=0)[0]) == 100


@pytest.mark.parametrize(
    ("toy", "message"),
    [
        (
            Toy(validation_size=100),
            r"dataset.validation_size=100: .* leaving 2 of the 100 training",
        ),
        (Toy(validation_size=-1), r"dataset.validation_size=-1: must be 0 or more"),
        (Toy(limit=0), r"dataset.limit=0: must be 2 or more"),
    ],
)
def test_impossible_sizes_are_refused(toy: Toy, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        split(BALANCED, toy, seed=0)


@settings(max_examples=30, deadline=None)
@given(sizes=st.lists(st.integers(1, 30), min_size=1, max_size=6), data=st.data())
def test_every_class_gives_its_share(sizes: list[int], data: st.DataObject) -> None:
    labels = torch.tensor([c for c, size in enumerate(sizes) for _ in range(size)])
    count = data.draw(st.integers(0, len(labels)))
    chosen = stratified(labels, count, fixed_order(len(labels)))
    assert len(set(chosen.tolist())) == len(chosen) == count
    taken = torch.bincount(labels[chosen], minlength=len(sizes))
    total = torch.tensor(sizes)
    # One more of any class would be more of its share than the last one of any other was.
    last = torch.where(taken > 0, (taken - 0.5) / total, 0)
    following = torch.where(taken < total, (taken + 0.5) / total, 1)
    assert last.max() <= following.min()


def test_the_order_of_packing_is_frozen(tmp_path: Path) -> None:
    assert fixed_order(10).tolist() == [2, 8, 4, 9, 1, 6, 7, 3, 0, 5]
