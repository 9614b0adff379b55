"""Published numbers stand beside one's own where cell and recipe are the same."""

from pathlib import Path

import pytest
import simulated
from omegaconf import OmegaConf
from options import options
from simulated import Arm

from sanity.core.config import PROJECT
from sanity.report.data import references
from sanity.report.output import tables
from sanity.report.report import make


def rows(tmp_path: Path, arm: Arm, **changes: dict[str, object]) -> list[tables.Row]:
    """The rows of a run of the published recipe, but for the ``changes`` of its settings."""
    content = simulated.record(arm)
    content["config"]["training"] = references.RECIPE
    content["config"]["dataset"] |= references.IMAGES
    content["config"]["arch"] = {}
    for group, values in changes.items():
        content["config"][group] = {**content["config"][group], **values}
    simulated.write(tmp_path, [arm])
    simulated.rewrite(tmp_path, content)
    return tables.rows(make([tmp_path]))


def cifar(**values: object) -> Arm:
    return Arm(**{"dataset": "cifar10", "arch": "resnet32", **values})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arm", "label", "expected", "source"),
    [
        (cifar(pruner="random", accuracy=89.60), "as found", "89.10 (+0.50)", "Su et al. 2020"),
        (cifar(pruner="snip", accuracy=87.0), "as found", "87.49 (−0.49)", "CS-433"),
        (cifar(pruner="grasp", check="rearrange"), "rearranged", "88.82 (+8.18)", "CS-433"),
        (
            cifar(pruner="lt", rewind="learning_rate", sparsity=0.9, accuracy=94.0),
            "as found",
            "94.07 (−0.07)",
            "CS-433",
        ),
    ],
)
def test_a_number_with_difference_and_provenance(
    arm: Arm, label: str, expected: str, source: str, tmp_path: Path
) -> None:
    (row,) = rows(tmp_path, arm)
    assert row.arms[label].reference == expected
    assert row.arms[label].source.startswith(source)
    assert row.dense.reference == "94.69 (+4.31)"


@pytest.mark.parametrize(
    ("values", "training"),
    [
        ({"sparsity": 0.5}, {}),
        ({"ratio": "erk"}, {}),
        ({"check": "reinit"}, {}),
        ({"arch": "resnet20"}, {}),
        ({}, {"epochs": 2}),
        ({}, {"weight_decay": 0}),
        ({"rewind": "learning_rate", "epoch": 0.75}, {}),
    ],
)
def test_another_cell_or_recipe_has_none(
    values: dict[str, object], training: dict[str, object], tmp_path: Path
) -> None:
    (row,) = rows(tmp_path, cifar(pruner="snip", **values), training=training)
    assert {one.reference for one in row.arms.values()} == {""}


@pytest.mark.parametrize(
    ("group", "settings"),
    [
        ("arch", {"widths": [8, 16, 32]}),
        ("arch", {"_target_": "mine.ResNet"}),
        ("pruner", {"samples_per_class": 5}),
        ("pruner", {"_target_": "mine.SNIP"}),
        ("ratio", {"linear": "dense"}),
        ("dataset", {"_target_": "mine.CIFAR10"}),
    ],
)
def test_neither_has_what_only_bears_the_name(
    group: str, settings: dict[str, object], tmp_path: Path
) -> None:
    (row,) = rows(tmp_path / "a", cifar(pruner="snip"))
    assert {one.reference for one in row.arms.values()} != {""}
    (row,) = rows(tmp_path / "b", cifar(pruner="snip"), **{group: settings})
    assert {one.reference for one in row.arms.values()} == {""}


def test_a_check_of_another_strength_has_none(tmp_path: Path) -> None:
    arm = cifar(pruner="grasp", check="half_dataset")
    assert references._as_shipped({"sanity_check": {"fraction": 0.5}}, {"sanity_check": arm.check})
    weak = {"sanity_check": {"fraction": 0.9}}
    assert not references._as_shipped(weak, {"sanity_check": arm.check})


def test_every_number_is_of_options_that_exist_and_none_is_lost() -> None:
    cells = references._cells()
    assert len(cells) == 12 + 3 * 3 * 4 + 3 * 4
    for dataset, arch, pruner, ratio, rewind, check, sparsity in cells:
        assert dataset in options("dataset")
        assert arch in options("arch")
        assert pruner in options("pruner")
        assert ratio in options("ratio")
        assert rewind in options("rewind")
        assert check in options("sanity_check")
        assert sparsity in (0.9, 0.95, 0.98)
    assert all(10 <= one.accuracy <= 100 and one.source for one in cells.values())


def test_the_recipe_of_the_numbers_is_that_of_the_experiments() -> None:
    recipe = OmegaConf.to_container(OmegaConf.load(PROJECT / "conf" / "training" / "cifar.yaml"))
    assert isinstance(recipe, dict)
    assert {name: recipe[name] for name in references.RECIPE} == references.RECIPE
    dataset = OmegaConf.to_container(OmegaConf.load(PROJECT / "conf" / "dataset" / "cifar10.yaml"))
    assert isinstance(dataset, dict)
    assert {name: dataset["dataset"][name] for name in references.IMAGES} == references.IMAGES
