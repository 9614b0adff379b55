"""Every pruner of conf/pruner, found by its YAML file."""

import inspect
from copy import deepcopy
from math import isclose
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from hydra.utils import get_class
from omegaconf import OmegaConf
from pruning_cases import (
    CLASSES,
    CONF,
    INPUT_SHAPE,
    PRUNERS,
    registered_pruner,
    save_pruned,
    scoring,
    tiny_network,
)

from sanity.core.errors import ConfigError
from sanity.networks.blueprint import blueprint
from sanity.pruners.imp import IMP
from sanity.pruners.lt import LT
from sanity.pruning import masks
from sanity.pruning.selection import find_mask
from sanity.ratios.base import Allocation

OUTLINE = blueprint(tiny_network(), INPUT_SHAPE)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return save_pruned(tmp_path / "pruned.pth.tar", OUTLINE)


def yaml(name: str) -> dict[str, Any]:
    return cast(dict[str, Any], OmegaConf.to_container(OmegaConf.load(CONF / f"{name}.yaml")))


def test_modules_and_options_bear_the_same_names() -> None:
    package = CONF.parents[1] / "sanity" / "pruners"
    modules = {path.stem for path in package.glob("*.py")}
    assert modules - {"__init__", "base"} == set(PRUNERS)
    reference = {"dense", "lt", "snip", "grasp", "random", "hybrid", "from_checkpoint"}
    assert set(PRUNERS) >= reference | {"magnitude", "imp", "synflow"}


@pytest.mark.parametrize("name", PRUNERS)
def test_yaml_values_are_the_class_defaults(name: str) -> None:
    settings = yaml(name)["pruner"]
    target = settings.pop("_target_")
    assert target.startswith(f"sanity.pruners.{name}.")
    parameters = inspect.signature(get_class(target)).parameters
    empty = inspect.Parameter.empty
    defaults = {n: "???" if p.default is empty else p.default for n, p in parameters.items()}
    assert settings == defaults


@pytest.mark.parametrize("name", PRUNERS)
def test_every_pruner_brings_a_ratio_and_a_rewind(name: str) -> None:
    config = yaml(name)
    overridden = {key: value for default in config["defaults"] for key, value in default.items()}
    assert overridden.keys() == {"override /ratio", "override /rewind"}
    assert (CONF / f"{name}.yaml").read_text().startswith("# @package _global_\n")
    assert (overridden["override /ratio"] == "smart") == (name in ("random", "hybrid"))
    assert (overridden["override /rewind"] == "learning_rate") == (name == "hybrid")
    sparsities = {"dense": 0.0, "from_checkpoint": None}
    assert config.get("ratio") == ({"sparsity": sparsities[name]} if name in sparsities else None)


@pytest.mark.parametrize("name", PRUNERS)
def test_scores_are_finite_and_independent_of_global_chance(name: str, checkpoint: Path) -> None:
    pruner, network = registered_pruner(name, checkpoint), tiny_network()
    torch.manual_seed(1)
    state = torch.random.get_rng_state()
    first = pruner.score(scoring(deepcopy(network)))
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.manual_seed(2)
    again = pruner.score(scoring(deepcopy(network)))
    assert list(first) == OUTLINE.names
    for layer in OUTLINE.layers:
        assert first[layer.name].shape == layer.shape
        assert bool(first[layer.name].isfinite().all())
        assert not first[layer.name].requires_grad
        assert torch.equal(first[layer.name], again[layer.name])


@pytest.mark.parametrize("name", PRUNERS)
def test_masks_hold_exactly_the_promised_number(name: str, checkpoint: Path) -> None:
    pruner = registered_pruner(name, checkpoint)
    given = pruner.given(tiny_network())
    assert (given is not None) == pruner.decides_sparsity
    if given is None:
        kept = pruner.kept(OUTLINE.total, 0.0 if name == "dense" else 0.7)
    else:
        kept = sum(given.kept.values())
    mask, _ = find_mask(
        pruner,
        tiny_network(),
        OUTLINE,
        Allocation(dict.fromkeys(OUTLINE.names), pooled=kept),
        input_shape=INPUT_SHAPE,
        generator=torch.Generator().manual_seed(0),
        batches=scoring(tiny_network()).batches,
    )
    assert sum(masks.kept(mask).values()) == kept


def test_only_data_driven_pruners_look_at_the_data(checkpoint: Path) -> None:
    for name in PRUNERS:
        pruner = registered_pruner(name, checkpoint)
        blind = scoring(tiny_network())
        object.__setattr__(blind, "batches", [])
        seeing = pruner.score(scoring(tiny_network()))
        same = all(torch.equal(seeing[n], score) for n, score in pruner.score(blind).items())
        assert same != pruner.needs_data
        assert (pruner.samples_per_class > 0) == pruner.needs_data


def test_only_random_scores_ignore_the_seed_of_the_network(checkpoint: Path) -> None:
    blind = {"dense", "random", "from_checkpoint"}
    for name in PRUNERS:
        pruner = registered_pruner(name, checkpoint)
        one, other = (pruner.score(scoring(tiny_network(seed))) for seed in (0, 1))
        assert all(torch.equal(one[n], other[n]) for n in one) == (name in blind)


@pytest.mark.parametrize(
    ("name", "kept"), [("magnitude", 80), ("snip", 80), ("grasp", 81), ("lt", 80), ("imp", 80)]
)
def test_rounding_of_what_is_kept(name: str, kept: int, checkpoint: Path) -> None:
    assert OUTLINE.total == 267  # 267 * 0.3 = 80.1 and 267 * 0.7 = 186.9
    assert registered_pruner(name, checkpoint).kept(OUTLINE.total, 0.7) == kept


def test_lt_keeps_the_count_of_the_reference() -> None:
    """N - floor(N p) - 1, on the prunable weights of ResNet32 and VGG19_bn for 10 classes."""
    assert LT().kept(1_855_584, 0.98) == 37_111
    assert LT().kept(20_024_000, 0.9) == 2_002_399
    assert LT().kept(1_855_584, 0.0) == 1_855_584


@pytest.mark.parametrize("sparsity", [0.2, 0.36, 0.488, 0.5, 0.9, 0.98, 0.999])
def test_imp_takes_the_fewest_rounds_that_reach_the_sparsity(sparsity: float) -> None:
    rounds = IMP().rounds(sparsity)
    reached = 0.8**rounds
    assert reached < 1 - sparsity or isclose(reached, 1 - sparsity)
    assert 0.8 ** (rounds - 1) > 1 - sparsity
    assert IMP(rounds=4).rounds(sparsity) == 4


def test_imp_prunes_once_where_there_is_nothing_to_prune() -> None:
    assert IMP().rounds(0.0) == 1


@pytest.mark.parametrize(
    ("pruner", "message"),
    [
        (IMP(rate=0.0), r"pruner\.rate=0\.0: must be between 0 and 1"),
        (IMP(rate=1.0), r"pruner\.rate=1\.0"),
        (IMP(rounds=0), r"pruner\.rounds=0: must be 1 or more, or null"),
    ],
)
def test_impossible_rounds_are_refused(pruner: IMP, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        pruner.rounds(0.9)


def test_a_class_count_reaches_the_batches(checkpoint: Path) -> None:
    for name in PRUNERS:
        pruner = registered_pruner(name, checkpoint)
        expected = {"grasp": 2}.get(name, 1)
        assert pruner.scoring_batches(OUTLINE, CLASSES) == expected
