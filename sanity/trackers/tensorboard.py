"""TensorBoard: a directory of event files a training, named as a person would name it."""

import importlib.util
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from sanity.core.config import PROJECT, absolute
from sanity.core.errors import ConfigError
from sanity.core.files import near
from sanity.trackers.base import Curve, Ending, Tracker, Training

# The four scalars of the paper's code bear its names, so that curves of both lie in one plot.
NAMES = {
    "train_loss": "train_loss",
    "test_loss": "test_loss",
    "train_accuracy": "train_acc",
    "test_accuracy": "test_acc",
    "validation_loss": "validation_loss",
    "validation_accuracy": "validation_acc",
    "lr": "lr",
    "images_per_second": "images_per_second",
}
NO_HYPERPARAMETERS = ("stage", "key", "sweep", "parent")
FLUSH = 5  # seconds after which figures are on the disk


@dataclass
class TensorBoard(Tracker):
    """Writes ``<dir>/<sweep>/<name>_<key>/``; ``tensorboard --logdir <dir>`` shows all of them."""

    name: ClassVar[str] = "TensorBoard"

    dir: str = str(PROJECT / "tensorboard")

    @property
    def place(self) -> str:
        """The directory."""
        return str(absolute("tracker.tensorboard.dir", self.dir))

    def where(self, group: str | None) -> str:
        """The command that shows the curves."""
        directory = Path(self.place) / safe_name(group or "")
        return f"TensorBoard: tensorboard --logdir {near(directory)}"

    def validate(self) -> None:
        """Raise ConfigError where the package is missing."""
        self.dir = self.dir or str(PROJECT / "tensorboard")
        if importlib.util.find_spec("tensorboard") is None:
            raise ConfigError(
                "tracker=tensorboard: needs the package tensorboard; "
                "install it with pip install -e '.[tensorboard]'"
            )

    def open(self, training: Training) -> Curve:
        """Start the training's directory anew: a resumed training tells all its epochs again."""
        from torch.utils.tensorboard import SummaryWriter
        from torch.utils.tensorboard.summary import hparams

        # The training's name, with enough of its key to be the only one.
        name = f"{safe_name(training.name).replace(' ', '_')}_{training.key[:6]}"
        path = Path(self.place) / safe_name(training.group or "") / name
        shutil.rmtree(path, ignore_errors=True)
        writer: Any = SummaryWriter(str(path), flush_secs=FLUSH)
        # Without the first, an experiment's list of columns: the page makes it of all sessions.
        _, start, end = hparams(hyperparameters(training.config), {})
        writer.file_writer.add_summary(start)
        config = json.dumps(training.config, indent=2, default=str)
        writer.add_text("config", "\n".join(f"    {line}" for line in config.splitlines()))
        return TensorBoardCurve(writer, end)


class TensorBoardCurve(Curve):
    """One directory of event files."""

    def __init__(self, writer: Any, end: Any) -> None:
        self._writer, self._end = writer, end

    def add(self, figures: Mapping[str, Any]) -> None:
        """Write an epoch's figures; its number is the step."""
        for name, shown in NAMES.items():
            if name in figures:
                self._writer.add_scalar(shown, figures[name], figures["epoch"])

    def finish(self, ending: Ending) -> None:
        """Write the summary and the layers as tables, and close."""
        rows = [f"| {name} | {value:g} |" for name, value in ending.summary.items()]
        self._writer.add_text("summary", "\n".join([f"| {ending.status} | |", "|-|-|", *rows]))
        if ending.layers:
            lines = [f"| {a} | {b:,} | {c:,} | {d:.2%} |" for a, b, c, d in ending.layers]
            head = ["| layer | total | kept | density |", "|-|-:|-:|-:|"]
            self._writer.add_text("layers", "\n".join([*head, *lines]))
        if ending.status == "completed":
            self._writer.file_writer.add_summary(self._end)
        self._writer.close()


def hyperparameters(config: Mapping[str, Any]) -> dict[str, Any]:
    """What the HPARAMS page has columns for: of what the training is made, and how it trains.

    Its results are the last figures of the curves.
    """
    training = config.get("settings", {}).get("training") or {}
    named = {**config} | {f"training.{name}": value for name, value in training.items()}
    return {
        name: value
        for name, value in named.items()
        if isinstance(value, bool | int | float | str) and name not in NO_HYPERPARAMETERS
    }


def safe_name(name: str) -> str:
    """``name`` as one directory's, wherever it would lead as a path."""
    return name.replace("/", "-").replace("\\", "-").lstrip(".")
