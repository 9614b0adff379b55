"""Relative paths mean the directory in which a command was given, wherever its runs work."""

import json
import sys
from pathlib import Path
from typing import Any

import processes
import pytest
import torch
from conftest import TINY, Compose
from PIL import Image

from sanity import pipeline
from sanity.core.config import PROJECT
from sanity.core.streams import generator
from sanity.experiment.experiment import build
from sanity.networks.build import build as initialised


def records(place: Path, *arguments: str) -> list[dict[str, Any]]:
    """Run a command in ``place``; the records that are new."""
    before = set(place.rglob("record.json"))
    done = processes.run([sys.executable, str(PROJECT / "run.py"), *arguments], place)
    assert done.returncode == 0, done.stderr
    return [json.loads(path.read_text()) for path in set(place.rglob("record.json")) - before]


@pytest.fixture
def place(tmp_path: Path, configure: Compose) -> Path:
    """A directory with a network, dense and pruned, of the tiny architecture in it."""
    factory = build(configure(*TINY)).factory
    state = initialised(factory, generator(0, "init")).state_dict()
    torch.save(state, tmp_path / "dense.pth")
    for weight in (one for one in state.values() if one.dim() in (2, 4)):
        weight.flatten()[::2] = 0
    torch.save(state, tmp_path / "pruned.pth")
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("multirun", [[], ["-m"]], ids=["run", "multirun"])
def test_a_run_in_a_directory_of_its_own_finds_the_same_files(
    place: Path, multirun: list[str]
) -> None:
    typed = [
        *(text for text in TINY if "sparsity" not in text),
        *("pruner=from_checkpoint", "pruner.path=pruned.pth", "ratio.sparsity=null"),
        *("arch.init_from=dense.pth", "store_dir=kept", "data_dir=packed"),
    ]
    (first,) = records(place, *typed)
    (second,) = records(place, *multirun, *typed, "hydra.job.chdir=true")
    assert second["stages"]["train_ticket"]["key"] == first["stages"]["train_ticket"]["key"]
    assert second["stages"]["train_ticket"]["reused"], "it has a store of its own"
    for name in ("kept", "packed"):
        assert list(place.rglob(name)) == [place / name]


@pytest.mark.slow
def test_folders_of_images_are_found_from_there_too(tmp_path: Path) -> None:
    for shade, name in enumerate(("train/cat", "train/dog", "test/cat", "test/dog")):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for number in range(5):
            image = Image.new("L", (8, 8), 50 * shade + number)
            image.save(tmp_path / "pets" / name / f"{number}.png")
    typed = ["dataset=folder", "dataset.path=pets", "dataset.crop_padding=1", "training=smoke"]
    typed += ["arch.widths=[4,8,8]", "ratio.sparsity=0.5", "pruner=random", "device=cpu"]
    (record,) = records(tmp_path, *typed, "hydra.job.chdir=true")
    assert record["status"] == "completed"


def test_a_pipeline_that_is_called_makes_a_directory_as_the_command_would(
    configure: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    pipeline.run(configure(*TINY, "pruner=random", "until=prune"))
    (record,) = tmp_path.glob("outputs/*/*/record.json")
    assert json.loads(record.read_text())["status"] == "completed"


@pytest.mark.slow
def test_a_run_is_repeated_from_what_hydra_has_kept_of_it(tmp_path: Path) -> None:
    kept = "hydra.callbacks={keep:{_target_:hydra.experimental.callbacks.PickleJobInfoCallback}}"
    typed = (*TINY, "pruner=random", "seed=3", "until=prune")
    (first,) = records(tmp_path, *typed, f"+{kept}")
    (pickled,) = tmp_path.rglob("config.pickle")
    assert not records(tmp_path, "--experimental-rerun", str(pickled)), "it has the same directory"
    (again,) = tmp_path.rglob("record.json")
    stage = json.loads(again.read_text())["stages"]["prune"]
    assert stage["key"] == first["stages"]["prune"]["key"]
    assert stage["reused"]
