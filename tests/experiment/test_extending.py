"""A researcher's own parts, outside this repository: a module and a YAML file each."""

import json
import sys
from pathlib import Path

import processes
import pytest

from sanity.core.config import PROJECT

PRUNER = '''
"""Keep the weights whose gradient is largest."""
from dataclasses import dataclass
from typing import ClassVar

from torch import autograd, nn

from sanity.pruners.base import Pruner, Scores, Scoring


@dataclass
class Gradient(Pruner):
    needs_data: ClassVar[bool] = True

    samples_per_class: int = 2
    power: float = 1.0

    def score(self, scoring: Scoring) -> Scores:
        weights = scoring.weights
        loss = sum(nn.functional.cross_entropy(scoring.network(x), y) for x, y in scoring.batches)
        gradients = autograd.grad(loss, list(weights.values()))
        return {name: g.abs() ** self.power for name, g in zip(weights, gradients)}
'''
RATIO = """
from dataclasses import dataclass

from sanity.ratios.base import Allocation, Ratio


@dataclass
class Half(Ratio):
    sparsity: float = 0.5

    def allocate(self, blueprint, budget):
        return Allocation({layer.name: layer.total // 2 for layer in blueprint.layers})
"""
CHECK = """
from sanity.checks.base import Effect, MaskCheck


class Roll(MaskCheck):
    def perturb(self, mask, generator):
        rolled = {name: keep.roll(1) for name, keep in mask.items()}
        moved = sum(int((rolled[name] & ~keep).sum()) for name, keep in mask.items())
        return rolled, Effect(moved, {"positions_moved": moved})
"""
FILES = {
    "parts/gradient.py": PRUNER,
    "parts/half.py": RATIO,
    "parts/roll.py": CHECK,
    "pruner/gradient.yaml": "_target_: parts.gradient.Gradient\nsamples_per_class: 2\npower: 1.0\n",
    "ratio/half.yaml": "_target_: parts.half.Half\nsparsity: 0.5\n",
    "sanity_check/roll.yaml": "_target_: parts.roll.Roll\n",
}
TINY = ("arch.widths=[4,8,8]", "training=smoke", "dataset.limit=160", "ratio.sparsity=0.5")


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    for name, content in FILES.items():
        path = tmp_path / "mine" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return tmp_path / "mine"


def call(mine: Path, *arguments: str) -> dict:
    command = [sys.executable, str(PROJECT / "run.py"), "--config-dir", str(mine)]
    done = processes.run([*command, *TINY, *arguments], mine.parent)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(Path(done.stdout.split("record: ")[1].strip()).read_text()))


@pytest.mark.slow
def test_own_pruner_ratio_and_check_work_from_outside(mine: Path) -> None:
    record = call(mine, "pruner=gradient", "ratio=half", "sanity_check=roll", "rewind=init")
    assert record["choices"]["pruner"] == "gradient"
    assert record["check"]["effect"]["positions_moved"] > 0
    assert all(layer["kept"] == layer["total"] // 2 for layer in record["ticket"]["layers"])

    again = call(mine, "pruner=gradient", "ratio=half", "sanity_check=roll", "rewind=init")
    assert all(stage["reused"] for stage in again["stages"].values())

    module = mine / "parts" / "gradient.py"
    module.write_text(module.read_text().replace("g.abs()", "(-g).abs()"))
    edited = call(mine, "pruner=gradient", "ratio=half", "sanity_check=roll", "rewind=init")
    assert not edited["stages"]["prune"]["reused"], "edited code must not pass for the old"
