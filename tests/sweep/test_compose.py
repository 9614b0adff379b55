"""Composing many jobs fast gives what Hydra gives, job by job."""

from collections.abc import Sequence
from typing import Any

import pytest
from conftest import TINY
from hydra.core.config_loader import ConfigLoader
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from planning import loader_of

from sanity.core.errors import ConfigError
from sanity.sweep.compose import Composed, Composer, directory_of, in_directory

# One kind after another, and again with other values: what a composer keeps must not leak.
JOBS: list[list[str]] = [
    [],
    ["seed=1"],
    ["seed=2", "threads=1"],
    ["seed=3"],
    ["pruner=snip", "ratio.sparsity=0.9"],
    ["pruner=snip", "ratio.sparsity=0.5"],
    ["ratio.sparsity=0.7", "pruner=snip"],
    ["pruner=hybrid"],
    ["pruner=hybrid", "ratio=uniform", "ratio.sparsity=0.6"],
    ["ratio=uniform", "pruner=hybrid", "ratio.sparsity=0.6"],
    ["pruner=dense"],
    ["pruner=lt", "rewind=epoch", "rewind.epoch=2"],
    ["pruner=lt", "rewind=epoch", "rewind.epoch=3"],
    ["pruner=lt", "rewind=learning_rate"],
    ["experiment=cifar10_resnet32", "pruner=lt", "seed=1"],
    ["experiment=tiny_imagenet_vgg19_bn", "pruner=lt", "seed=1"],
    ["experiment=cifar10_resnet32", "debug=tiny"],
    ["dataset=cifar100", "training=smoke", "arch=vgg11_bn"],
    ["training.milestones=[0.5]", "arch.widths=[4,8,8]"],
    ["training.milestones=[0.25,0.5]", "arch.widths=[8,8,8]"],
    ["training.lr=0.1", "+note.a=1"],
    ["training.lr=0.2", "+note.a=2"],
    ["training.lr=0.2", "++seed=7"],
    ["~experiment", "seed=5"],
    ["~sanity_check.fraction", "sanity_check=half_dataset"],
    ["sanity_check=half_dataset", "sanity_check.fraction=0.2"],
    ["ratio=like", "pruner=random", "+ratio.settings.samples_per_class=5"],
    ["seed=1", "seed=2"],
    ["seed=1", "++seed=2"],
    ["++seed=2", "seed=1"],
    ["sanity_check={_target_: a.B}"],
    ["sanity_check._target_=c.D"],
    ["training={lr: 1}"],
    ["training={epochs: 3}"],
    ["training.lr=0.3", "training={lr: 1}"],
    ["training={lr: 1}", "training.lr=0.3"],
    [*TINY, "pruner=imp", "pruner.rounds=null"],
    [*TINY, "pruner=imp", "pruner.rounds=2"],
    ["data_dir='/a b/c,d'", "device=cuda:1"],
    ["data_dir=${store_dir}/data", "store_dir=/x"],
    ["seed=1"],
    [],
]


@pytest.fixture(scope="module")
def loader() -> ConfigLoader:
    return loader_of()


def hydras(loader: ConfigLoader, overrides: Sequence[str]) -> tuple[Any, Any]:
    """Hydra's own composition: the settings, and the options chosen."""
    cfg = loader.load_configuration("config", list(overrides), run_mode=RunMode.RUN)
    choices = OmegaConf.to_container(cfg.hydra.runtime.choices)
    plain = OmegaConf.to_container(cfg)
    assert isinstance(plain, dict)
    del plain["hydra"]
    return plain, choices


def test_every_kind_of_job_is_composed_as_hydra_does(loader: ConfigLoader) -> None:
    composer = Composer(loader, "config", [], mentions=["${note.a}"])  # or nobody reads it
    for overrides in JOBS:
        found = composer(overrides)
        expected = hydras(loader, overrides)
        assert (OmegaConf.to_container(found.cfg), found.choices) == expected, overrides


def test_what_all_jobs_have_in_common_stands_before_their_own(loader: ConfigLoader) -> None:
    common = ["store_dir=/s", "seed=9", "hydra.job.name=run"]
    composer = Composer(loader, "config", common)
    for overrides in ([], ["seed=1"], ["pruner=snip"], ["store_dir=/t"], []):
        found = composer(overrides)
        expected = hydras(loader, [*common, *overrides])
        assert (OmegaConf.to_container(found.cfg), found.choices) == expected, overrides


def test_jobs_that_differ_in_values_are_composed_once(
    loader: ConfigLoader, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Any] = []
    compose = loader.load_configuration

    def counted(**given: Any) -> DictConfig:
        calls.append(given["overrides"])
        return compose(**given)

    monkeypatch.setattr(loader, "load_configuration", counted)
    composer = Composer(loader, "config", [])
    for seed in range(20):
        assert composer(["pruner=snip", f"seed={seed}"]).cfg.seed == seed
    assert len(calls) == 1
    composer(["pruner=grasp", "seed=0"])
    assert len(calls) == 2


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["pruner=nonesuch"], "Could not find 'pruner/nonesuch'"),
        (["nonesuch=1"], "Could not override 'nonesuch'"),
        (["ratio.nonesuch=1"], "Could not override 'ratio.nonesuch'"),
        (["+seed=1"], "already at 'seed'"),
        (["~nonesuch"], "does not exist"),
        (["seed"], "missing EQUAL"),
    ],
)
def test_what_hydra_refuses_is_refused_in_its_words(
    loader: ConfigLoader, overrides: list[str], message: str
) -> None:
    composer = Composer(loader, "config", [])
    composer(["seed=1"])
    with pytest.raises(HydraException, match=message):
        composer(overrides)
    with pytest.raises(HydraException, match=message):
        hydras(loader, overrides)


DEFAULT = (
    "${hydra.job.num}_${hydra:runtime.choices.dataset}_${hydra:runtime.choices.pruner}"
    "_${ratio.sparsity}_s${seed}"
)


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        (DEFAULT, "4_digits_snip_0.9_s3"),
        ("${hydra:job.num}/${hydra.runtime.choices.arch}", "4/resnet8"),
        ("${hydra.job.id}", "4"),
        ("${training.lr}_${hydra:runtime.choices.experiment}", "0.05_None"),
        ("t${threads}_${dataset.mean}", "tNone_[0.305]"),
        ("plain", "plain"),
    ],
)
def test_a_directory_is_named_as_hydra_would(
    composed: Composed, template: str, expected: str
) -> None:
    assert directory_of(template, 4, 3, composed) == expected


@pytest.mark.parametrize(
    "template", ["${now:%H-%M}", "${hydra:job.override_dirname}", "${nonesuch}", "${oc.env:HOME}"]
)
def test_a_directory_that_only_a_running_job_knows_is_refused(
    composed: Composed, template: str
) -> None:
    with pytest.raises(
        ConfigError, match=r"^hydra\.sweep\.subdir=.*: may refer to hydra\.job\.num"
    ):
        directory_of(f"x_{template}", 0, 0, composed)


def test_hydras_launchers_are_told_a_directory_in_its_own_grammar(loader: ConfigLoader) -> None:
    overrides = in_directory("/a b/josé", "1_2")
    cfg = loader.load_configuration("config", overrides, run_mode=RunMode.RUN)
    assert cfg.hydra.sweep.dir == "/a b/josé"
    assert cfg.hydra.sweep.subdir == "1_2"


@pytest.fixture
def composed(loader: ConfigLoader) -> Composed:
    return Composer(loader, "config", [])(["pruner=snip", "ratio.sparsity=0.9", "seed=3"])
