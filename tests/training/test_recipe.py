"""The schedule of the paper, and recipes that cannot be followed."""

import pytest

from sanity.core.errors import ConfigError
from sanity.training.recipe import Recipe


def test_the_defaults_are_the_papers_recipe_for_cifar() -> None:
    recipe = Recipe()
    rates = [recipe.lr_at(epoch) for epoch in range(160)]
    assert rates[:80] == [0.1] * 80
    assert rates[80:120] == [pytest.approx(0.01)] * 40
    assert rates[120:] == [pytest.approx(0.001)] * 40


@pytest.mark.parametrize(("epochs", "milestones"), [(300, [150, 225]), (15, [7, 11])])
def test_milestones_below_one_are_shares(epochs: int, milestones: list[int]) -> None:
    assert Recipe(epochs=epochs).milestone_epochs() == milestones


def test_milestones_from_one_on_are_epochs() -> None:
    recipe = Recipe(epochs=10, milestones=[1.0, 7.0], gamma=0.5)
    assert [round(recipe.lr_at(epoch), 6) for epoch in (0, 1, 6, 7)] == [0.1, 0.05, 0.05, 0.025]


def test_other_schedules() -> None:
    assert Recipe(schedule="constant").lr_at(159) == 0.1
    cosine = Recipe(schedule="cosine")
    assert cosine.lr_at(0) == 0.1
    assert cosine.lr_at(80) == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 0),
        ("batch_size", 1),
        ("lr", 0.0),
        ("lr", float("nan")),
        ("momentum", 1.0),
        ("weight_decay", -1e-4),
        ("schedule", "linear"),
        ("milestones", [-1.0]),
        ("gamma", 0.0),
        ("precision", "fp8"),
    ],
)
def test_impossible_settings_are_named(name: str, value: object) -> None:
    with pytest.raises(ConfigError, match=rf"training\.{name}="):
        Recipe(**{name: value}).validate()  # type: ignore[arg-type]
    Recipe().validate()
