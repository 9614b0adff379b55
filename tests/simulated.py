"""Simulated runs: records as a run writes them, with accuracies that a test chooses."""

import copy
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sanity.ratios.base import kept_share
from sanity.record.record import SCHEMA

LAYERS = (("conv1", 288), ("layer1.conv1", 9216), ("layer2.conv1", 36864), ("fc", 1280))
DENSITIES = {"random": (0.5, 0.02, 0.005, 0.3), "lt": (0.3, 0.04, 0.006, 0.2)}
FILLED = 2  # the layer that makes all methods' tickets keep as many weights
RATIOS = {"lt": "global", "snip": "global", "grasp": "global", "random": "smart"}
VERSIONS = {"sanity": "0.1.0", "python": "3.11.7", "torch": "2.14.1"}


@dataclass(frozen=True)
class Arm:
    """What a simulated run is of; ``accuracy`` is its last epoch's."""

    pruner: str = "lt"
    check: str = "none"
    sparsity: float = 0.98
    seed: int = 0
    accuracy: float | None = 97.0
    dataset: str = "digits"
    arch: str = "resnet8"
    ratio: str | None = None
    rewind: str = "init"
    epoch: float | None = None
    dense: float | None = 99.0


def record(arm: Arm, **changes: Any) -> dict[str, Any]:
    """The ``record.json`` of a run; ``changes`` replace its fields."""
    ratio = arm.ratio or RATIOS.get(arm.pruner, "global")
    rewind = {} if arm.epoch is None else {"epoch": arm.epoch}
    kept = [round(d * n) for d, (_, n) in zip(_densities(arm), LAYERS, strict=True)]
    total = sum(count for _, count in LAYERS)
    kept[FILLED] += kept_share(total, arm.sparsity) - sum(kept)
    metrics = {"dense_test_accuracy": arm.dense, "test_accuracy": arm.accuracy}
    metrics |= {"best_test_accuracy": None if arm.accuracy is None else arm.accuracy + 0.1}
    name = "-".join(map(str, (arm.pruner, ratio, arm.rewind, arm.check, arm.sparsity, arm.seed)))
    found: dict[str, Any] = {
        "schema": SCHEMA,
        "status": "completed",
        "seed": arm.seed,
        "choices": {
            "dataset": arm.dataset,
            "arch": arm.arch,
            "pruner": arm.pruner,
            "ratio": ratio,
            "rewind": arm.rewind,
            "sanity_check": arm.check,
        },
        "config": {
            "dataset": {"name": arm.dataset},
            "arch": {"depth": 8},
            "training": {"epochs": 15, "lr": 0.05},
            "pruner": {"_target_": f"sanity.pruners.{arm.pruner}"},
            "ratio": {"_target_": f"sanity.ratios.{ratio}", "sparsity": arm.sparsity},
            "rewind": {"_target_": f"sanity.rewinds.{arm.rewind}", **rewind},
            "sanity_check": {"_target_": f"sanity.checks.{arm.check}"},
            "verdict": {"margin": 0.5, "alpha": 0.05, "family": "cell"},
            "seed": arm.seed,
            "store_dir": "/nowhere",
        },
        "stages": {
            "train_ticket": {
                "key": name,
                "reused": False,
                "seconds": 1.0,
                "computed_by": {"device": "cpu", "threads": 1, "engine": "dense"},
            }
        },
        "ticket": {
            "sparsity": 1 - sum(kept) / total,
            "kept": sum(kept),
            "total": total,
            "layers": [
                {"name": name, "total": count, "kept": here}
                for (name, count), here in zip(LAYERS, kept, strict=True)
            ],
        },
        "check": {"name": arm.check, "effect": {}},
        "metrics": {name: value for name, value in metrics.items() if value is not None},
        "versions": VERSIONS,
    }
    if arm.check != "none":
        found["check"]["effect"] = {"positions_moved": 90 + arm.seed, "positions": 100}
    return copy.deepcopy(found) | changes


def weighed(content: dict[str, Any]) -> dict[str, Any]:
    """A record that tells what its ticket costs."""
    kept, total = content["ticket"]["kept"], content["ticket"]["total"]
    content["ticket"]["footprint"] = {
        "macs": 10 * kept,
        "dense_macs": 10 * total,
        "bytes": 4 * kept + total // 8,
        "dense_bytes": 4 * total,
        "effective": kept // 2,
    }
    return content


def write(root: Path, arms: Iterable[Arm], epochs: int = 3) -> Path:
    """Write a run's directory for each arm below ``root``, which is returned."""
    for number, arm in enumerate(arms):
        directory = root / f"{number}_{arm.pruner}_{arm.check}_s{arm.seed}"
        directory.mkdir(parents=True)
        (directory / "record.json").write_text(json.dumps(record(arm)))
        if arm.accuracy is None:
            continue
        lines = [
            {
                "stage": "train_ticket",
                "epoch": epoch,
                "test_accuracy": arm.accuracy - 20 / (epoch + 1) + 20 / epochs,
            }
            for epoch in range(epochs)
        ]
        (directory / "metrics.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in lines))
    return root


def seeds(count: int, effect: float, spread: float, chance: int = 0, **arm: Any) -> list[Arm]:
    """Arms of ``count`` seeds whose mean accuracy is 97 plus ``effect``, with normal noise."""
    noise = np.random.default_rng(chance).normal(0, spread, count)
    return [
        Arm(seed=seed, accuracy=float(97 + effect + noise[seed]), **arm) for seed in range(count)
    ]


def battery(count: int = 5) -> list[Arm]:
    """A battery on lt with both controls: positions are of no use, the data is, reinit is open."""
    fine = {"pruner": "lt", "rewind": "learning_rate", "epoch": 0.75}
    return [
        *seeds(count, 0, 0.1, 1),
        *seeds(count, 0, 0.1, 2, check="rearrange"),
        *seeds(count, -3, 0.3, 3, check="corrupted_data"),
        *seeds(count, -0.4, 0.8, 4, check="reinit"),
        *seeds(count, 0, 0.1, 5, pruner="random"),
        *seeds(count, 0, 0.1, 6, pruner="random", check="rearrange"),
        *seeds(count, -5, 0.5, 7, **fine),
        *seeds(count, -25, 2, 8, check="shuffle_weights", **fine),
    ]


def _densities(arm: Arm) -> tuple[float, ...]:
    found = DENSITIES.get(arm.pruner, DENSITIES["lt"])
    return tuple(min(1.0, density * (1 - arm.sparsity) / 0.02) for density in found)


def rewrite(root: Path, content: dict[str, Any]) -> None:
    """Replace the one record in or below ``root``."""
    (path,) = root.rglob("record.json")
    path.write_text(json.dumps(content))
