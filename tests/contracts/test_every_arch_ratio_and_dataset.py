"""Every registered network, ratio, data set and preset, with next to no training."""

from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from conftest import Run
from omegaconf import DictConfig
from options import load_option, options
from PIL import Image

from sanity.core.errors import ConfigError
from sanity.experiment.experiment import build
from sanity.experiment.validation import validate

Compose = Callable[..., DictConfig]


@pytest.mark.parametrize("arch", options("arch"))
def test_every_network_gets_a_random_ticket_without_data(
    run: Run, configure: Compose, arch: str
) -> None:
    chosen = ("dataset=cifar10", f"arch={arch}", "pruner=random", "until=prune", "device=cpu")
    record = run(*chosen, tiny=False)
    assert set(record["stages"]) == {"prune"}
    assert 0.97 < record["ticket"]["sparsity"] < 0.99
    experiment = build(configure(*chosen))
    planned = experiment.method.allocate(experiment.blueprint, {}).kept
    assert {layer["name"]: layer["kept"] for layer in record["ticket"]["layers"]} == planned


# One network of each class, a small one.
SMALL = (
    *("resnet8", "resnet18", "torchvision", "timm"),
    *("wrn22_2", "vgg11", "lenet300_100", "lenet5", "conv2"),
)


@pytest.mark.parametrize("arch", SMALL)
def test_a_network_of_every_class_trains_a_ticket(run: Run, arch: str, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for split, name in product(("train", "test"), ("cat", "dog")):
        place = tmp_path / "pets" / split / name
        place.mkdir(parents=True)
        for number in range(6):
            pixels = random.integers(0, 256, (16, 16), dtype=np.uint8)
            Image.fromarray(pixels).save(place / f"{number}.png")
    images = ("dataset=folder", f"dataset.path={tmp_path / 'pets'}", "dataset.channels=1")
    chosen = (f"arch={arch}", "pruner=snip", "pruner.samples_per_class=2", "ratio.sparsity=0.5")
    training = ("training=smoke", "training.epochs=1", "training.engine=dense", "device=cpu")
    record = run(*images, *chosen, *training, tiny=False)
    assert record["status"] == "completed"
    assert record["ticket"]["footprint"]["macs"] < record["ticket"]["footprint"]["dense_macs"]
    effective = record["ticket"]["footprint"]["effective"]
    assert effective is None if arch == "timm" else effective > 0  # attention has no paths


def test_every_class_of_networks_is_covered_above() -> None:
    kinds = [load_option("arch", arch)["_target_"] for arch in SMALL]
    assert {*kinds} == {load_option("arch", arch)["_target_"] for arch in options("arch")}
    assert len({*kinds}) == len(SMALL)


@pytest.mark.parametrize("pruner", ["random", "magnitude", "snip"])
@pytest.mark.parametrize("ratio", options("ratio"))
def test_every_ratio_goes_with_every_kind_of_score(run: Run, ratio: str, pruner: str) -> None:
    record = run(f"pruner={pruner}", f"ratio={ratio}", "until=prune", "ratio.sparsity=0.7")
    assert record["ticket"]["sparsity"] == pytest.approx(0.7, abs=0.01)


@pytest.mark.parametrize(
    ("dataset", "epochs", "classes", "side"),
    [
        ("digits", 15, 10, 8),
        ("fashion_mnist", 160, 10, 28),
        ("cifar10", 160, 10, 32),
        ("cifar100", 160, 100, 32),
        ("tiny_imagenet", 300, 200, 64),
    ],
)
def test_a_data_set_brings_its_recipe_classes_and_shape(
    configure: Compose, dataset: str, epochs: int, classes: int, side: int
) -> None:
    experiment = build(configure(f"dataset={dataset}"))
    assert experiment.recipe.epochs == epochs
    assert experiment.blueprint.layers[-1].shape[0] == classes
    assert experiment.input_shape[1:] == (side, side)
    assert build(configure(f"dataset={dataset}", "training.epochs=7")).recipe.epochs == 7
    assert build(configure(f"dataset={dataset}", "training=smoke")).recipe.epochs == 2


def test_every_data_set_is_covered_above() -> None:
    listed = {"digits", "fashion_mnist", "cifar10", "cifar100", "tiny_imagenet"}
    assert set(options("dataset")) == listed | {"folder"}  # a folder's facts are in its images


@pytest.mark.parametrize("preset", options("experiment"))
def test_presets_are_the_papers_cells(configure: Compose, preset: str) -> None:
    cfg = configure(f"experiment={preset}")
    experiment = build(cfg)
    validate(experiment)
    dataset = cfg.dataset.name
    assert preset.startswith(dataset)
    layers, epochs = len(experiment.blueprint.layers), experiment.recipe.epochs
    assert layers == (17 if preset.endswith("vgg19_bn") else 34)
    assert epochs == (300 if dataset == "tiny_imagenet" else 160)
    assert (experiment.recipe.lr, experiment.recipe.batch_size, experiment.recipe.weight_decay) == (
        0.1,
        64,
        1e-4,
    )
    assert build(configure(f"experiment={preset}", "arch=resnet20")).blueprint.total > 1e6


@pytest.mark.parametrize("preset", options("debug"))
def test_debug_presets_compose_with_any_data_set(configure: Compose, preset: str) -> None:
    experiment = build(configure("dataset=cifar10", f"debug={preset}"))
    assert experiment.recipe.epochs <= 2
    assert experiment.dataset.crop_padding == 4


def test_a_pruner_brings_its_ratio_and_rewind_and_the_command_line_wins(
    configure: Compose,
) -> None:
    assert configure("pruner=hybrid").ratio._target_.endswith("Smart")
    assert configure("pruner=hybrid").rewind._target_.endswith("LearningRate")
    assert configure("pruner=hybrid", "ratio=erk").ratio._target_.endswith("Erk")
    assert configure("pruner=random", "rewind=learning_rate").rewind._target_.endswith("Rate")


NONSENSE = {
    "hybrid without counts": (["pruner=hybrid", "ratio=global"], "ratio=global: "),
    "epoch after the end": (["rewind=epoch", "rewind.epoch=2"], r"rewind\.epoch=2: "),
    "sparsity 1": (["ratio.sparsity=1.0"], r"ratio\.sparsity=1\.0: must be in \[0, 1\)"),
    "negative sparsity": (["ratio.sparsity=-0.1"], r"ratio\.sparsity=-0\.1: "),
    "sparsity as text": (["ratio.sparsity=most"], r"ratio\.sparsity=most: must be a number"),
    "linear layer too large": (["pruner=random", "ratio.sparsity=0.99"], r"ratio\.sparsity=0\.99"),
    "lt that empties": (["pruner=lt", "ratio.sparsity=0.99"], "the classifier kept dense"),
    "dense with sparsity": (["pruner=dense", "ratio.sparsity=0.5"], "pruner=dense"),
    "like a random pruner's own": (["ratio=like", "ratio.of=hybrid"], r"ratio\.of=hybrid"),
    "like what is unknown": (["ratio=like", "ratio.of=snap"], r"ratio\.of=snap: .*snip"),
    "like in rounds": (["ratio=like", "ratio.of=imp"], r"ratio\.of=imp: "),
    "check after the end": (
        ["sanity_check=shuffle_weights", "until=prune"],
        "until=prune stops before it",
    ),
    "network too deep for its images": (["arch=vgg11"], r"dataset\.image_size"),
    "rate of a pruner": (["pruner=imp", "pruner.rate=1.5"], r"pruner\.rate=1\.5"),
    "batches of a pruner": (["pruner=snip", "pruner.batches=3"], r"pruner\.batches=3"),
    "learning rate": (["training.lr=0"], r"training\.lr=0: must be above 0"),
    "a mask of everything": (
        ["pruner=lt", "ratio.sparsity=0", "sanity_check=rearrange"],
        "prunes nothing, so there is no mask to check",
    ),
    "inverted scores of nothing": (
        ["pruner=snip", "ratio.sparsity=0", "sanity_check=invert"],
        "prunes nothing",
    ),
    "data for a blind pruner": (
        ["pruner=random", "rewind=epoch", "rewind.epoch=1", "sanity_check=random_labels"],
        "pruner=random never sees data",
    ),
    "fraction of a check": (
        ["sanity_check=half_dataset", "sanity_check.fraction=1.0"],
        r"sanity_check\.fraction=1\.0",
    ),
    "temperature": (["pruner=grasp", "pruner.temperature=0"], r"pruner\.temperature=0\.0"),
    "iterations": (["pruner=synflow", "pruner.iterations=0"], r"pruner\.iterations=0"),
    "no number": (["ratio.sparsity=nan"], r"ratio\.sparsity=nan: must be a finite number"),
    "milestones": (["training.milestones=0.5"], r"training\.milestones=0\.5: must be a list"),
    "milestone": (["training.milestones=[a]"], r"training\.milestones=\['a'\]: must be a list"),
    "one image": (["dataset.limit=1"], r"dataset\.limit=1: must be 2 or more"),
    "all set aside": (["dataset.validation_size=1436"], r"dataset\.validation_size=1436: "),
    "classes": (["arch.num_classes=5"], r"arch: gives \(5,\) outputs for 10 classes"),
    "channels": (["arch.in_channels=3"], r"arch: does not take images \(1, 8, 8\)"),
    "depth": (["arch.depth=deep"], r"arch\.depth=deep: must be a whole number"),
    "init_from": (["arch.init_from=5"], r"arch\.init_from=5: must be a file's path"),
    "no store": (["store_dir=''"], "store_dir=: must name a directory"),
    "device": (["device=tpu"], "device=tpu: choose"),
    "file that is not there": (["arch.init_from=no.tar"], r"arch\.init_from=no\.tar: no such file"),
}


@pytest.mark.parametrize("case", NONSENSE)
def test_nonsense_is_refused_before_anything_is_computed(
    run: Run, case: str, tmp_path: Path
) -> None:
    overrides, message = NONSENSE[case]
    tiny = case != "network too deep for its images"
    with pytest.raises(ConfigError, match=message):
        run(*overrides, tiny=tiny)
    record = (tmp_path / "run0" / "record.json").read_text()
    assert '"stages": {}' in record
    assert '"status": "failed"' in record
