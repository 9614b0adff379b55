"""Results are stored under the code and the files that they were computed with, and no others."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import processes
import pytest
import torch
from processes import Process

from sanity.core.config import PROJECT

TINY = ("arch.widths=[4,8,8]", "training=smoke", "dataset.limit=160", "ratio.sparsity=0.8")
PRUNER = """
import time
from dataclasses import dataclass
from pathlib import Path

import helper
from sanity.pruners.base import Pruner


@dataclass
class Mine(Pruner):
    sign: float = 1.0
    gate: str | None = None
    path: str | None = None

    def score(self, scoring):
        from late import shift

        if self.gate is not None:
            Path(self.gate, f"{time.time_ns()}").mkdir()
            while len(list(Path(self.gate).iterdir())) > 2 and not Path(self.gate, "open").exists():
                time.sleep(0.05)
        return {
            name: helper.score(weight, self.sign) + shift()
            for name, weight in scoring.weights.items()
        }
"""
YAML = """
# @package _global_
defaults:
  - override /ratio: uniform
  - override /rewind: init
pruner:
  _target_: mine.Mine
  sign: 1.0
  gate: null
"""
NETWORK = """
from pathlib import Path

import torch

from sanity.archs.resnet import ResNet


class Net(ResNet):
    def __init__(self, **settings):
        super().__init__(**settings)
        self.scale = torch.load(Path(__file__).with_name("scale.pt"), map_location="cpu").item()

    def forward(self, x):
        return super().forward(x) * self.scale
"""
FILES = {
    "mine.py": PRUNER,
    "helper.py": "def score(weight, sign):\n    return sign * weight.abs()\n",
    "late.py": "def shift():\n    return 0.0\n",
    "net.py": NETWORK,
    "pruner/mine.yaml": YAML.lstrip(),
    "arch/net.yaml": (PROJECT / "conf" / "arch" / "resnet8.yaml")
    .read_text()
    .replace("sanity.archs.resnet.ResNet", "net.Net"),
}

Call = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    place = tmp_path / "mine"
    for name, text in FILES.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text)
    torch.save(torch.tensor(1.0), place / "scale.pt")
    return place


def command(*arguments: str) -> list[str]:
    options = ["--config-dir", "mine", "device=cpu", *TINY]
    return [sys.executable, str(PROJECT / "run.py"), *options, *arguments]


def stages(mine: Path, *arguments: str) -> dict[str, Any]:
    """The stages of a run: key, and whether the result was there already."""
    done = processes.run(command("until=prune", "pruner=mine", *arguments), mine.parent)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(Path(done.stdout.split("record: ")[1].strip()).read_text())["stages"])


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.slow
def test_edits_of_what_a_component_reaches_are_told_apart_and_others_are_not(mine: Path) -> None:
    first = stages(mine)["prune"]
    assert not first["reused"]

    edit(
        mine / "helper.py",
        "def score",
        "# as one is taught\ndef unrelated():\n    pass\n\ndef score",
    )
    edit(mine / "mine.py", "@dataclass", "class More(Exception):\n    pass\n\n\n@dataclass")
    again = stages(mine)["prune"]
    assert again["reused"], "comments and unrelated definitions change nothing"

    edit(mine / "helper.py", "sign * weight", "-sign * weight")
    assert not stages(mine)["prune"]["reused"], "a module that the pruner imports"
    edit(mine / "helper.py", "-sign * weight", "sign * weight")
    assert stages(mine)["prune"]["key"] == first["key"]
    edit(mine / "late.py", "0.0", "1.0")
    assert not stages(mine)["prune"]["reused"], "a module that is imported while it is scored"


@pytest.mark.slow
def test_a_file_that_a_network_loads_is_told_apart(mine: Path) -> None:
    first = stages(mine, "arch=net")["prune"]
    assert stages(mine, "arch=net")["prune"]["reused"]
    torch.save(torch.tensor(2.0), mine / "scale.pt")
    other = stages(mine, "arch=net")["prune"]
    assert not other["reused"]
    assert other["key"] != first["key"]


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["basic", "local", "submitit_local"])
def test_a_sweep_runs_what_it_was_started_with(mine: Path, launcher: str) -> None:
    """Module, its helpers, and its YAML file are edited when two jobs are done."""
    gate = mine.parent / "gate"
    gate.mkdir()
    grid = ("-m", "pruner=mine", "until=prune", f"pruner.gate={gate}", "seed=0,1,2,3,4")
    process = Process(command(*grid, f"hydra/launcher={launcher}"), mine.parent)
    deadline = time.monotonic() + 120
    while len(list(gate.iterdir())) < 3:
        assert process.poll() is None, process.texts
        assert time.monotonic() < deadline
        time.sleep(0.05)
    edit(mine / "helper.py", "sign * weight", "-sign * weight")
    edit(mine / "late.py", "0.0", "1.0")
    edit(mine / "pruner" / "mine.yaml", "sign: 1.0", "sign: -1.0")
    (gate / "open").mkdir()
    out, errors = process.communicate(timeout=120)
    assert process.returncode == 0, out + errors
    assert "5 done" in out

    (sweep,) = mine.parent.glob("multirun/*/*/sweep.json")
    planned = {
        job["number"]: job["stages"][0]["key"] for job in json.loads(sweep.read_text())["jobs"]
    }
    records = [json.loads(path.read_text()) for path in sweep.parent.glob("[0-9]*/record.json")]
    assert {one["stages"]["prune"]["key"] for one in records} == set(planned.values())
    assert {one["config"]["pruner"]["sign"] for one in records} == {1.0}
    assert not stages(mine, f"pruner.gate={gate}")["prune"]["reused"], "today's code is another"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "text", "reason"),
    [
        (
            "helper.py",
            "def score(weight, sign):\n"
            "    hidden = __builtins__['__im' + 'port__']('hid' + 'den')\n"
            "    return hidden.score(weight)\n",
            "run.py: hidden: was imported while the result was computed",
        ),
        (
            "late.py",
            "import os\n\n\n"
            "def shift():\n    os.system('echo 2 > mine/shift.txt')\n    return 0.0\n",
            "shift.txt: has changed since the run was started",
        ),
    ],
    ids=["module", "file"],
)
def test_what_is_not_the_code_of_the_key_is_not_stored(
    mine: Path, file: str, text: str, reason: str
) -> None:
    (mine / file).write_text(text)
    (mine / "hidden.py").write_text("def score(weight):\n    return weight.abs()\n")
    (mine / "shift.txt").write_text("1")
    named = "+pruner.path=mine/shift.txt"
    done = processes.run(command("until=prune", "pruner=mine", named), mine.parent)
    assert done.returncode == 1, done.stdout + done.stderr
    assert reason in done.stderr.splitlines()[-1]
    assert not list(Path(os.environ["SANITY_STORE_DIR"]).glob("prune/*"))


@pytest.mark.slow
def test_files_that_no_key_knows_are_told(mine: Path) -> None:
    lines: Sequence[str] = (
        "def shift():",
        "    return float(open('mine/' + 'shift' + '.txt').read())",
    )
    (mine / "late.py").write_text("\n".join(lines) + "\n")
    (mine / "shift.txt").write_text("1")
    done = processes.run(command("until=prune", "pruner=mine"), mine.parent)
    assert done.returncode == 0
    assert f"warning: prune reads {mine / 'shift.txt'}: results do not tell" in done.stderr


DATASET = """
from dataclasses import dataclass

import torch

from sanity.datasets.base import Dataset, Examples
from shades import shade


@dataclass
class Mine(Dataset):
    def read(self, data_dir):
        labels = torch.arange(160) % 4
        images = shade(torch.arange(160 * 64).view(160, 8, 8, 1) * (labels + 3).view(-1, 1, 1, 1))
        return {
            "train": Examples(images[:120].to(torch.uint8), labels[:120], 4),
            "test": Examples(images[120:].to(torch.uint8), labels[120:], 4),
        }
"""
DATASET_YAML = """
# @package _global_
defaults:
  - override /training: smoke
dataset:
  _target_: images.Mine
  name: mine
  num_classes: 4
  channels: 1
  image_size: 8
  mean: [0.5]
  std: [0.25]
  limit: null
"""


@pytest.mark.slow
def test_images_are_read_anew_where_the_code_that_reads_them_was_edited(mine: Path) -> None:
    (mine / "images.py").write_text(DATASET)
    (mine / "shades.py").write_text("def shade(x):\n    return x % 251\n")
    (mine / "dataset").mkdir()
    (mine / "dataset" / "mine.yaml").write_text(DATASET_YAML.lstrip())
    options = ("pruner=snip", "pruner.samples_per_class=2", "dataset=mine", "dataset.limit=null")

    def packed() -> dict[str, Any]:
        (manifest,) = Path(os.environ["SANITY_DATA_DIR"]).glob("mine*/manifest.json")
        return dict(json.loads(manifest.read_text()))

    first, before = stages(mine, *options)["prune"], packed()
    edit(mine / "shades.py", "% 251", "% 241")
    edited, after = stages(mine, *options)["prune"], packed()
    assert edited["key"] != first["key"]
    assert before["files"]["train"]["content"] != after["files"]["train"]["content"]


SMALL = """
import json, subprocess
from pathlib import Path
{top}
from sanity.pruners.base import Pruner

class Mine(Pruner):
    def __init__(self, sign=1.0, gate=None):
        {made}

    def score(self, scoring):
        return {{name: weight.abs() * {factor} for name, weight in scoring.weights.items()}}
"""
TABLE = "SIGN = json.loads(Path(__file__).with_name('table.json').read_text())"
CASES = {
    "a class found among all of its kind": (
        {
            "top": "class Rule: pass\n\nclass Fixed(Rule):\n    sign = 1\n",
            "factor": "Rule.__subclasses__()[0].sign",
        },
        ("mine.py", "sign = 1\n", "sign = -1\n"),
    ),
    "a table that its module reads": (
        {"top": TABLE, "factor": "SIGN"},
        ("table.json", "1", "-1"),
    ),
    "a table that a module of two parts reads": (
        {"top": "from common import SIGN", "factor": "SIGN"},
        ("table.json", "1", "-1"),
    ),
    "a script that is executed": (
        {
            "top": "SPACE = {}\nexec(Path(__file__).with_name('script.py').read_text(), SPACE)",
            "factor": "SPACE['sign']",
        },
        ("script.py", "sign = 1", "sign = -1"),
    ),
    "a function found by its name": (
        {
            "made": "from hydra.utils import get_method; self.rule = get_method('rules.f')",
            "factor": "self.rule()",
        },
        ("rules.py", "1", "-1"),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_whatever_a_component_is_made_of_is_told_apart(mine: Path, case: str) -> None:
    filled, (name, old, new) = CASES[case]
    (mine / "mine.py").write_text(SMALL.format(**{"top": "", "made": "pass", **filled}))
    (mine / "table.json").write_text("1")
    (mine / "common.py").write_text(f"import json\nfrom pathlib import Path\n{TABLE}\n")
    (mine / "script.py").write_text("sign = 1")
    (mine / "rules.py").write_text("def f():\n    return 1\n")
    edit(mine / "net.py", "import torch\n", "import torch\n\nimport common\n")  # asks for it first
    first = stages(mine, "arch=net")["prune"]
    assert stages(mine, "arch=net")["prune"]["reused"]
    edit(mine / name, old, new)
    second = stages(mine, "arch=net")["prune"]
    assert not second["reused"]
    assert second["key"] != first["key"]


@pytest.mark.slow
def test_a_class_of_others_is_told_by_the_own_module_that_changes_it(mine: Path) -> None:
    (mine / "mine.py").write_text(
        "from sanity.pruners.magnitude import Magnitude as Mine\n\n"
        "def score(self, scoring):\n"
        "    return {name: 1 * weight.abs() for name, weight in scoring.weights.items()}\n\n"
        "Mine.score = score\n"
    )
    (mine / "pruner" / "mine.yaml").write_text(
        "".join(line for line in YAML.lstrip().splitlines(True) if "sign" not in line).replace(
            "  gate: null\n", ""
        )
    )
    stages(mine)
    assert stages(mine)["prune"]["reused"]
    edit(mine / "mine.py", "1 * weight", "-1 * weight")
    assert not stages(mine)["prune"]["reused"]


@pytest.mark.slow
def test_what_a_pruner_changes_for_the_training_before_it_is_told(mine: Path) -> None:
    """The mask's key tells it, but not that of the dense network, which runs with it as well."""
    top = "import torch\ntorch.nn.functional.relu = torch.nn.functional.relu6"
    (mine / "mine.py").write_text(
        SMALL.format(top=top, made="pass", factor="1").replace(
            "class Mine(Pruner):", "class Mine(Pruner):\n    needs_trained_weights = True\n"
        )
    )
    for _ in range(2):  # said again where it is reused
        done = processes.run(command("until=prune", "pruner=mine"), mine.parent)
        (line,) = [one for one in done.stderr.splitlines() if "results do not tell" in one]
        assert "train_dense runs with torch.nn.functional.relu as mine has changed it" in line


@pytest.mark.slow
def test_what_a_rewind_changes_is_told_of_the_stages_before_it_alone(mine: Path) -> None:
    """Their keys do not tell it, and other runs use their results; the rewind's own key does."""
    (mine / "later.py").write_text(
        "import torch\nfrom sanity.rewinds.init import Init\n\n"
        "torch.nn.functional.relu = torch.nn.functional.relu6\n\n\nclass Later(Init):\n    pass\n"
    )
    (mine / "rewind").mkdir()
    (mine / "rewind" / "later.yaml").write_text("_target_: later.Later\n")
    done = processes.run(command("pruner=lt", "rewind=later"), mine.parent)
    assert done.returncode == 0, done.stderr
    told = [line for line in done.stderr.splitlines() if "as later has changed it" in line]
    assert [line.split(" runs with")[0].split()[-1] for line in told] == ["train_dense", "prune"]


@pytest.mark.slow
def test_modules_that_nothing_names_are_refused_while_a_component_is_built(mine: Path) -> None:
    hidden = "from importlib import import_module as load; load('rules')"
    (mine / "lib").mkdir()
    (mine / "lib" / "rules.py").write_text("")
    (mine / "mine.py").write_text(SMALL.format(top="", made=hidden, factor="1"))
    where = os.environ | {"PYTHONPATH": str(mine / "lib")}
    done = processes.run(command("until=prune", "pruner=mine"), mine.parent, where)
    assert done.returncode == 1
    assert "rules: was imported while the result was computed" in done.stderr


@pytest.mark.slow
def test_a_sweep_whose_module_reads_a_table_runs(mine: Path) -> None:
    (mine / "mine.py").write_text(SMALL.format(top=TABLE, made="pass", factor="SIGN"))
    (mine / "table.json").write_text("1")
    done = processes.run(command("-m", "until=prune", "pruner=mine", "seed=0,1"), mine.parent)
    assert done.returncode == 0, done.stdout + done.stderr


UNTOLD = {
    "prune runs a program": "int(subprocess.check_output(['cat', 'mine/table' + '.json']))",
    "mine looks at variables of the environment": "float(os.environ['SIGN'])",
    "prune reads ": "float(Path('mine', 'table' + '.json').read_text())",
}


@pytest.mark.slow
@pytest.mark.parametrize("said", UNTOLD)
def test_what_no_key_tells_is_said_each_time(mine: Path, said: str) -> None:
    text = SMALL.format(top="import os", made="os.environ['OWN'] = '1'", factor=UNTOLD[said])
    (mine / "mine.py").write_text(text)
    (mine / "table.json").write_text("1")
    for _ in range(2):
        done = processes.run(
            command("until=prune", "pruner=mine"), mine.parent, os.environ | {"SIGN": "1"}
        )
        (line,) = [one for one in done.stderr.splitlines() if "results do not tell" in one]
        assert said in line
