"""Runs that are disturbed at a given step, and what must be the same as if they were not."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from sanity.training.engines.dense import Dense

SPEED = ("images_per_second", "seconds")


class Stopped(BaseException):
    """The end of a process, as far as one can have it within a test."""


def stop() -> None:
    raise Stopped


def disturb(monkeypatch: pytest.MonkeyPatch, after: int, action: Callable[[], None] = stop) -> None:
    """Let ``action`` happen once ``after`` more steps of training have been made."""
    original = vars(Dense).get("undisturbed", Dense.step)
    left = [after]

    def step(self: Dense, x: Tensor, y: Tensor) -> Any:
        result = original(self, x, y)
        left[0] -= 1
        if left[0] == 0:
            action()
        return result

    monkeypatch.setattr(Dense, "undisturbed", original, raising=False)
    monkeypatch.setattr(Dense, "step", step)


def metrics(directory: Path) -> list[dict[str, Any]]:
    """The lines of ``metrics.jsonl`` without what says how fast it went."""
    lines = [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in SPEED} for line in lines]


def results(record: dict[str, Any]) -> dict[str, Tensor]:
    """Every tensor of every stage of a run, by stage, file and name."""
    store = Path(record["config"]["store_dir"])
    return {
        f"{name} {path.stem} {key}": tensor
        for name, stage in record["stages"].items()
        for path in (store / name.rstrip("_123") / stage["key"]).glob("*.safetensors")
        for key, tensor in load_file(path).items()
    }


def assert_same(first: dict[str, Tensor], second: dict[str, Tensor]) -> None:
    """Bit for bit."""
    assert first.keys() == second.keys()
    assert first
    different = [name for name, tensor in first.items() if not torch.equal(tensor, second[name])]
    assert different == []
