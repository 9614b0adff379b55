"""What each check does to what it perturbs, beyond what all of its kind have in common."""

import pytest
import torch
from torch import Tensor

from sanity.checks.corrupted_data import CorruptedData
from sanity.checks.half_dataset import HalfDataset
from sanity.checks.invert import Invert
from sanity.checks.random_labels import RandomLabels
from sanity.checks.random_pixels import RandomPixels, count_differences
from sanity.checks.rearrange import Rearrange
from sanity.checks.reinit import Reinit
from sanity.checks.shuffle_weights import ShuffleWeights
from sanity.core.errors import ConfigError
from sanity.datasets.base import Examples


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def examples(count: int = 1000, classes: int = 10) -> Examples:
    shape = (count, 4, 5, 3)
    images = torch.randint(0, 256, shape, generator=generator(1), dtype=torch.uint8)
    return Examples(images, torch.arange(count) % classes, classes)


def test_random_labels_are_right_by_chance_only() -> None:
    clean = examples()
    corrupted, effect = RandomLabels().corrupt(clean, generator())
    right = int((corrupted.labels == clean.labels).sum())
    assert 60 < right < 140  # expected 100, standard deviation 9.5
    assert effect.counts == {"labels_changed": 1000 - right, "labels": 1000}
    assert torch.equal(corrupted.images, clean.images)
    assert corrupted.labels.bincount().min() > 60


def test_random_pixels_permute_every_image_on_its_own() -> None:
    ramp = torch.arange(60, dtype=torch.uint8).view(4, 5, 3).repeat(200, 1, 1, 1)
    clean = Examples(ramp, torch.zeros(200).long(), 1)
    corrupted, effect = RandomPixels().corrupt(clean, generator())
    flat = corrupted.images.flatten(1)
    assert torch.equal(flat.sort(dim=1).values, ramp.flatten(1))
    assert len(flat.unique(dim=0)) == 200
    # Channels mix: the value of a red place comes from any of the 60 places.
    assert len(flat[:, 0].unique()) > 40
    differ = corrupted.images != clean.images
    assert effect.counts == {
        "images_changed": 200,
        "images": 200,
        "values_changed": int(differ.sum()),
        "values": 200 * 60,
    }
    assert torch.equal(corrupted.labels, clean.labels)


def test_differences_are_counted_across_chunks() -> None:
    before = torch.zeros(2500, 1, 2, 1, dtype=torch.uint8)
    after = before.clone()
    after[[0, 1023, 1024, 2499]] = 1
    after[7, 0, 0, 0] = 1
    assert count_differences(before, after) == (5, 9)


def test_corrupted_data_is_random_labels_and_random_pixels() -> None:
    clean = examples()
    corrupted, effect = CorruptedData().corrupt(clean, generator())
    labels, _ = RandomLabels().corrupt(clean, generator())
    assert torch.equal(corrupted.labels, labels.labels)
    assert int((corrupted.images != clean.images).flatten(1).any(1).sum()) == 1000
    assert effect.counts["images_changed"] == 1000
    assert effect.changed == effect.counts["labels_changed"] < 1000


def test_corrupted_data_needs_both_changes() -> None:
    grey = Examples(torch.full((50, 2, 2, 1), 9, dtype=torch.uint8), torch.arange(50) % 5, 5)
    _, effect = CorruptedData().corrupt(grey, generator())
    assert effect.counts["labels_changed"] > 0
    assert effect.changed == 0


def test_half_dataset_is_the_first_part() -> None:
    clean = examples()
    corrupted, effect = HalfDataset(fraction=0.29).corrupt(clean, generator())
    assert len(corrupted) == 290  # int(1000 * 0.29) is 290, but int(100 * 0.29) is 28
    assert torch.equal(corrupted.images, clean.images[:290])
    assert torch.equal(corrupted.labels, clean.labels[:290])
    assert effect.changed == 710
    assert effect.counts == {"examples_removed": 710, "examples": 1000}


def test_half_dataset_counts_like_the_reference() -> None:
    labels = torch.zeros(50_000, dtype=torch.int64)
    cifar = Examples(torch.zeros(50_000, 1, 1, 1, dtype=torch.uint8), labels, 1)
    assert len(HalfDataset(fraction=0.4992).corrupt(cifar, generator())[0]) == 24_960


def test_half_dataset_refuses_to_lose_a_class() -> None:
    with pytest.raises(
        ConfigError, match=r"sanity_check\.fraction=0\.005: leaves 5 .* of 5 classes \(5"
    ):
        HalfDataset(fraction=0.005).corrupt(examples(), generator())


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.5, 1.5])
def test_half_dataset_refuses_other_fractions(fraction: float) -> None:
    with pytest.raises(ConfigError, match=rf"sanity_check\.fraction={fraction}: must be between"):
        HalfDataset(fraction).corrupt(examples(), generator())


MASK = {
    "a": torch.rand(20, 10, 3, 3, generator=generator(2)) < 0.1,
    "b": torch.rand(10, 30, generator=generator(3)) < 0.5,
    "c": torch.ones(4, 4, dtype=torch.bool),
}


def test_rearranged_positions_are_uniform() -> None:
    keep = torch.zeros(20, dtype=torch.bool)
    keep[:5] = True
    draws = [Rearrange().perturb({"a": keep}, generator(seed))[0]["a"] for seed in range(800)]
    seen = torch.stack(draws).sum(dim=0)
    spread = (800 * 0.25 * 0.75) ** 0.5
    assert float((seen - 200).abs().max()) < 4 * spread


def test_rearrange_counts_the_positions_that_moved() -> None:
    permuted, effect = Rearrange().perturb(MASK, generator())
    moved = {name: int((permuted[name] & ~keep).sum()) for name, keep in MASK.items()}
    assert moved["a"] > 0
    assert moved["c"] == 0
    assert effect.counts == {
        "positions_moved": sum(moved.values()),
        "positions": sum(int(keep.sum()) for keep in MASK.values()),
        "layers_changed": 2,
        "layers": 3,
    }


def state(seed: int) -> dict[str, Tensor]:
    random = generator(seed)
    drawn = {f"{name}.weight": torch.randn(k.shape, generator=random) for name, k in MASK.items()}
    return {**drawn, "b.bias": torch.randn(10, generator=random), "bn.weight": torch.ones(5)}


def test_shuffled_weights_swap_places_inside_each_layer() -> None:
    weights = state(4)
    shuffled, effect = ShuffleWeights().perturb(weights, MASK, lambda: state(5), generator())
    moved = 0
    for name, keep in MASK.items():
        before, after = weights[f"{name}.weight"], shuffled[f"{name}.weight"]
        assert torch.equal(before[keep].sort().values, after[keep].sort().values)
        assert torch.equal(before[~keep], after[~keep])
        moved += int((before != after).sum())
    assert effect.changed == moved > 0.9 * effect.counts["values"]
    assert effect.counts["layers_changed"] == 3
    assert shuffled["b.bias"] is weights["b.bias"]
    assert shuffled["bn.weight"] is weights["bn.weight"]


def test_reinit_replaces_the_whole_state() -> None:
    weights, fresh = state(4), state(5)
    drawn, effect = Reinit().perturb(weights, MASK, lambda: fresh, generator())
    assert drawn == fresh
    kept = sum(int(keep.sum()) for keep in MASK.values())
    assert effect.counts["values_changed"] == effect.counts["values"] == kept


def test_reinit_counts_survivors_only() -> None:
    weights = state(4)
    fresh = {**weights, "b.bias": torch.zeros(10)}
    fresh["a.weight"] = weights["a.weight"] + (~MASK["a"]).float()
    _, effect = Reinit().perturb(weights, MASK, lambda: fresh, generator())
    assert effect.changed == 0
    fresh["b.weight"] = weights["b.weight"] + 1
    _, effect = Reinit().perturb(weights, MASK, lambda: fresh, generator())
    assert effect.changed == int(MASK["b"].sum())
    assert effect.counts["layers_changed"] == 1


def test_invert_turns_the_order_around() -> None:
    scores = {"a": torch.tensor([3.0, -1.0, 0.0]), "b": torch.tensor([2.0])}
    inverted, effect = Invert().perturb(scores, generator())
    assert inverted["a"].tolist() == [-3.0, 1.0, 0.0]
    assert inverted["b"].tolist() == [-2.0]
    assert effect.changed == 3
    assert effect.counts == {"scores_changed": 3, "scores": 4}
