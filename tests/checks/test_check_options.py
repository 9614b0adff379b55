"""Every check of conf/sanity_check, found by its YAML file: effect, invariants, honesty."""

import inspect
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from hydra.utils import get_class, instantiate
from omegaconf import OmegaConf
from torch import Tensor

from sanity.checks.base import (
    Check,
    DataCheck,
    Effect,
    MaskCheck,
    ScoreCheck,
    Target,
    WeightCheck,
)
from sanity.datasets.base import Examples

CONF = Path(__file__).parents[2] / "conf" / "sanity_check"
CHECKS = sorted(path.stem for path in CONF.glob("*.yaml"))
BASES = {"data": DataCheck, "scores": ScoreCheck, "mask": MaskCheck, "weights": WeightCheck}


def registered(name: str, **settings: float) -> Check:
    check = instantiate(OmegaConf.load(CONF / f"{name}.yaml"), **settings)
    assert isinstance(check, Check)
    return check


CHECK_OF = {name: registered(name) for name in CHECKS}
ACTIVE = [name for name in CHECKS if name != "none"]


def of(target: str) -> list[str]:
    return [name for name in CHECKS if CHECK_OF[name].target == target]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def examples() -> Examples:
    images = torch.randint(0, 256, (40, 3, 4, 2), generator=generator(1), dtype=torch.uint8)
    return Examples(images, torch.arange(4).repeat(10), 4)


def scores() -> dict[str, Tensor]:
    return {"a": torch.randn(3, 2, 2, 2, generator=generator(2)), "b": torch.rand(4, 5)}


def mask() -> dict[str, Tensor]:
    return {name: score > 0.4 for name, score in scores_of(3).items()}


def scores_of(seed: int) -> dict[str, Tensor]:
    random = generator(seed)
    return {"a": torch.rand(3, 2, 2, 2, generator=random), "b": torch.rand(4, 5, generator=random)}


def weights(seed: int = 4) -> dict[str, Tensor]:
    drawn = {f"{name}.weight": value - 0.5 for name, value in scores_of(seed).items()}
    return {**drawn, "b.bias": torch.rand(4, generator=generator(seed)), "bn.weight": torch.ones(3)}


def act(check: Check, seed: int = 0) -> tuple[Any, Any, Effect]:
    """What the check was given (to see that it stays), what it made of it, and the effect."""
    random = generator(seed)
    given: Any
    if isinstance(check, DataCheck):
        given = examples()
        return given, *check.corrupt(given, random)
    if isinstance(check, ScoreCheck):
        given = scores_of(2)
        return given, *check.perturb(given, random)
    if isinstance(check, MaskCheck):
        given = mask()
        return given, *check.perturb(given, random)
    assert isinstance(check, WeightCheck)
    given = weights()
    return given, *check.perturb(given, mask(), lambda: weights(5 + seed), random)


def tensors(value: Any) -> dict[str, Tensor]:
    if isinstance(value, Examples):
        return {"images": value.images, "labels": value.labels}
    return value


def equal(one: Any, other: Any) -> bool:
    a, b = tensors(one), tensors(other)
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_modules_and_options_bear_the_same_names() -> None:
    package = CONF.parents[1] / "sanity" / "checks"
    assert {path.stem for path in package.glob("*.py")} - {"__init__", "base"} == set(CHECKS)


@pytest.mark.parametrize("name", CHECKS)
def test_yaml_values_are_the_class_defaults(name: str) -> None:
    settings = dict(OmegaConf.load(CONF / f"{name}.yaml"))
    parameters = inspect.signature(get_class(settings.pop("_target_"))).parameters
    assert settings == {key: parameter.default for key, parameter in parameters.items()}


@pytest.mark.parametrize("name", CHECKS)
def test_the_target_says_what_kind_of_check_it_is(name: str) -> None:
    check = CHECK_OF[name]
    assert check.target in get_args(Target)
    kinds = [target for target, base in BASES.items() if isinstance(check, base)]
    assert kinds == ([] if name == "none" else [check.target])


@pytest.mark.parametrize("name", ACTIVE)
def test_every_check_changes_something_and_leaves_the_given_untouched(name: str) -> None:
    given, result, effect = act(CHECK_OF[name])
    pristine, _, _ = act(CHECK_OF[name])
    assert equal(given, pristine)
    assert not equal(given, result)
    assert effect.changed > 0
    assert effect.changed in effect.counts.values()
    assert all(type(count) is int for count in effect.counts.values())


@pytest.mark.parametrize("name", ACTIVE)
def test_the_generator_alone_decides(name: str) -> None:
    torch.manual_seed(1)
    state = torch.random.get_rng_state()
    _, first, effect = act(CHECK_OF[name])
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.manual_seed(2)
    _, again, same = act(CHECK_OF[name])
    assert equal(first, again)
    assert effect == same
    if name in ("random_labels", "random_pixels", "rearrange", "shuffle_weights", "reinit"):
        assert not equal(first, act(CHECK_OF[name], seed=1)[1])


@pytest.mark.parametrize("name", of("data"))
def test_data_checks_keep_form_and_classes(name: str) -> None:
    clean, corrupted, _ = act(CHECK_OF[name])
    assert corrupted.images.shape[1:] == clean.images.shape[1:]
    assert (corrupted.images.dtype, corrupted.labels.dtype) == (torch.uint8, torch.int64)
    assert corrupted.num_classes == clean.num_classes
    assert len(corrupted.images) == len(corrupted.labels)
    assert set(corrupted.labels.tolist()) <= set(range(4))


@pytest.mark.parametrize("name", of("mask"))
def test_mask_checks_keep_every_layer_s_count(name: str) -> None:
    given, result, _ = act(CHECK_OF[name])
    assert list(result) == list(given)
    for layer, keep in result.items():
        assert keep.dtype == torch.bool
        assert keep.shape == given[layer].shape
        assert keep.sum() == given[layer].sum()


@pytest.mark.parametrize("name", of("weights"))
def test_weight_checks_keep_names_and_shapes(name: str) -> None:
    given, result, _ = act(CHECK_OF[name])
    assert list(result) == list(given)
    assert all(result[key].shape == given[key].shape for key in given)


@pytest.mark.parametrize("name", of("scores"))
def test_score_checks_keep_names_and_shapes(name: str) -> None:
    given, result, _ = act(CHECK_OF[name])
    assert list(result) == list(given)
    assert all(result[key].shape == given[key].shape for key in given)


Idle = Callable[[], Effect]


def idle(name: str) -> Effect:
    """The check's effect where there is nothing to perturb."""
    check, random = CHECK_OF[name], generator()
    if isinstance(check, DataCheck):
        blank = Examples(torch.full((8, 2, 2, 1), 7, dtype=torch.uint8), torch.zeros(8).long(), 1)
        return check.corrupt(blank, random)[1]
    if isinstance(check, ScoreCheck):
        return check.perturb({"a": torch.ones(2, 2), "b": torch.ones(3)}, random)[1]
    full = {name: torch.ones_like(keep) for name, keep in mask().items()}
    if isinstance(check, MaskCheck):
        return check.perturb(full, random)[1]
    assert isinstance(check, WeightCheck)
    constant = {key: torch.ones_like(value) for key, value in weights().items()}
    return check.perturb(constant, full, lambda: deepcopy(constant), random)[1]


@pytest.mark.parametrize("name", [name for name in ACTIVE if name != "half_dataset"])
def test_a_check_that_changes_nothing_says_so(name: str) -> None:
    effect = idle(name)
    assert effect.changed == 0
    assert 0 in effect.counts.values()
