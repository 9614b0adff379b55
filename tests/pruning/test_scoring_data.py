from collections import Counter
from typing import Any, cast

import pytest
import torch

from sanity.core.errors import ConfigError
from sanity.networks.layers import Blueprint, Layer
from sanity.pruners.grasp import GraSP
from sanity.pruners.snip import SNIP
from sanity.pruning.scoring import deal

LABELS = torch.arange(5).repeat(30)[torch.randperm(150, generator=torch.Generator().manual_seed(3))]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def layers(count: int, shortcuts: bool) -> Blueprint:
    return Blueprint(tuple(Layer(str(i), "conv", (1, 1, 1, 1)) for i in range(count)), shortcuts)


@pytest.mark.parametrize("batches", [1, 2, 5, 10])
def test_every_batch_holds_the_same_number_of_each_class(batches: int) -> None:
    hands = deal(LABELS, 5, 10, batches, generator())
    assert len(hands) == batches
    for hand in hands:
        assert Counter(LABELS[hand].tolist()) == dict.fromkeys(range(5), 10 // batches)
    drawn = torch.cat(hands)
    assert len(drawn.unique()) == 50


def test_the_draw_depends_on_the_generator_alone() -> None:
    first = deal(LABELS, 5, 10, 2, generator())
    torch.manual_seed(99)
    again = deal(LABELS, 5, 10, 2, generator())
    other = deal(LABELS, 5, 10, 2, generator(1))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], other[0])


def test_a_class_with_too_few_examples_is_named() -> None:
    few = torch.cat([torch.zeros(12), torch.ones(3)]).long()
    with pytest.raises(ConfigError, match=r"pruner\.samples_per_class=10: .* 1 \(3\)"):
        deal(few, 2, 10, 1, generator())


def test_unequal_shares_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"samples_per_class=10: .*evenly into 4 batches"):
        deal(LABELS, 5, 10, 4, generator())


@pytest.mark.parametrize(
    ("outline", "classes", "snip", "grasp"),
    [
        (layers(34, shortcuts=True), 10, 1, 2),  # ResNet32
        (layers(46, shortcuts=True), 10, 10, 10),  # ResNet44
        (layers(46, shortcuts=False), 100, 1, 2),
        (layers(17, shortcuts=False), 200, 10, 10),  # Tiny-ImageNet
    ],
)
def test_automatic_numbers_of_batches(
    outline: Blueprint, classes: int, snip: int, grasp: int
) -> None:
    assert SNIP().scoring_batches(outline, classes) == snip
    assert GraSP().scoring_batches(outline, classes) == grasp


def test_a_number_of_batches_can_be_given() -> None:
    assert SNIP(batches=5).scoring_batches(layers(3, shortcuts=False), 10) == 5
    assert GraSP(batches=1).scoring_batches(layers(3, shortcuts=False), 10) == 1


@pytest.mark.parametrize(
    ("pruner", "message"),
    [
        (SNIP(batches=3), r"pruner\.samples_per_class=10: .*\(pruner\.batches=3\)"),
        (SNIP(batches=0), r"pruner\.batches=0: must be 1 or more, or auto"),
        (SNIP(batches=cast(Any, "many")), r"pruner\.batches=many"),
        (SNIP(samples_per_class=0), r"pruner\.samples_per_class=0: must be 1 or more"),
        (GraSP(samples_per_class=3), r"pruner\.samples_per_class=3: .*into 2 batches"),
    ],
)
def test_impossible_batches_are_refused(pruner: SNIP | GraSP, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        pruner.scoring_batches(layers(3, shortcuts=False), 10)
