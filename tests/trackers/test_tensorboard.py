"""What TensorBoard reads of a run: the paper's four scalars and ours, each epoch once."""

from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_multiplexer import EventMultiplexer
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
from tracking import call, has_line, kill, metrics

THEIRS = {
    "train_loss": "train_loss",
    "test_loss": "test_loss",
    "train_acc": "train_accuracy",
    "test_acc": "test_accuracy",
}
OURS = {"lr": "lr", "images_per_second": "images_per_second"}


def curves(logdir: Path) -> dict[str, dict[str, list[tuple[int, float]]]]:
    """What ``tensorboard --logdir`` would plot: by run and scalar."""
    found = EventMultiplexer().AddRunsFromDirectory(str(logdir))
    found.Reload()
    return {
        run: {
            tag: [(event.step, event.value) for event in found.Scalars(run, tag)]
            for tag in tags["scalars"]
        }
        for run, tags in found.Runs().items()
    }


def texts(logdir: Path, run: str) -> set[str]:
    found = EventMultiplexer().AddRunsFromDirectory(str(logdir))
    found.Reload()
    return set(found.Runs()[run]["tensors"])


def hyperparameters(logdir: Path, run: str) -> dict[str, Any]:
    """The row of the HPARAMS page."""
    found = EventMultiplexer().AddRunsFromDirectory(str(logdir))
    found.Reload()
    metadata = found.SummaryMetadata(run, "_hparams_/session_start_info")
    start = HParamsPluginData.FromString(metadata.plugin_data.content).session_start_info
    return {name: getattr(value, value.WhichOneof("kind")) for name, value in start.hparams.items()}


def assert_told(place: Path, run: str, stage: str) -> None:
    lines = metrics(place / "run")[stage]
    shown = curves(place / "tensorboard")[run]
    for tag, name in (THEIRS | OURS).items():
        assert [step for step, _ in shown[tag]] == [line["epoch"] for line in lines]
        assert [value for _, value in shown[tag]] == pytest.approx([line[name] for line in lines])


def test_a_run_is_one_curve_a_training_with_a_readable_name(tmp_path: Path) -> None:
    done = call(tmp_path, "pruner=lt", "tracker=tensorboard", "sweep.name=mine")
    assert "TensorBoard: tensorboard --logdir tensorboard/mine" in done.stderr
    assert "W&B" not in done.stderr
    names = sorted(curves(tmp_path / "tensorboard"))
    assert [name.rsplit("_", 1)[0] for name in names] == [
        "mine/dense_s0_digits_resnet8",
        "mine/lt_x_global_80%_s0_digits_resnet8",
    ]
    for name, stage in zip(names, ("train_dense", "train_ticket"), strict=True):
        assert_told(tmp_path, name, stage)
    row = hyperparameters(tmp_path / "tensorboard", names[1])
    assert (row["pruner"], row["ratio"], row["sparsity"], row["seed"]) == ("lt", "global", 0.8, 0)
    assert (row["training.epochs"], row["dataset"]) == (2, "digits")
    assert "key" not in row
    shown = texts(tmp_path / "tensorboard", names[1])
    assert {name.removesuffix("/text_summary") for name in shown} == {"config", "summary", "layers"}


def test_a_validation_set_is_shown_too(tmp_path: Path) -> None:
    call(tmp_path, "pruner=random", "tracker=tensorboard", "dataset.validation_size=40")
    (shown,) = curves(tmp_path / "tensorboard").values()
    assert {"validation_loss", "validation_acc"} <= set(shown)


@pytest.mark.slow
def test_a_killed_run_shows_each_epoch_once(tmp_path: Path) -> None:
    long = ("pruner=random", "training.epochs=150", "checkpoint_every=0.1", "tracker=tensorboard")
    kill(tmp_path, *long, when=lambda: has_line(tmp_path, '"epoch": 20'))
    call(tmp_path, *long)
    (name,) = curves(tmp_path / "tensorboard")
    assert_told(tmp_path, name, "train_ticket")
