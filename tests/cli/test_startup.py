"""What a command loads before it has done anything: nobody waits for what is not used."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import TINY

from sanity.core.config import PROJECT
from sanity.data import open_packed
from sanity.datasets.digits import Digits

SLOW = ("torch._dynamo", "torch._inductor", "sympy", "pandas", "matplotlib", "wandb")
PROGRAM = """
import runpy, sys
sys.argv = ["run.py", *sys.argv[1:]]
runpy.run_path("run.py", run_name="__main__")
print("loaded:", *sys.modules)
"""


@pytest.fixture(autouse=True)
def _packed() -> None:
    """The data, which is packed once; scikit-learn reads its original."""
    open_packed(Digits(), Path(os.environ["SANITY_DATA_DIR"]))


def loaded(tmp_path: Path, *arguments: str) -> set[str]:
    """The modules that a run has imported, in a process of its own."""
    where = [f"hydra.run.dir={tmp_path}", "tracker=none", *TINY, *arguments]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *where], cwd=PROJECT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split("loaded:")[1].split())


@pytest.mark.slow
@pytest.mark.parametrize("pruner", ["random", "snip", "grasp", "synflow"])
def test_a_run_that_trains_nothing_loads_no_compiler(tmp_path: Path, pruner: str) -> None:
    found = loaded(tmp_path, f"pruner={pruner}", "until=prune")
    assert "torch" in found
    assert found & {*SLOW} == set()


@pytest.mark.slow
def test_nor_does_one_whose_results_are_there(tmp_path: Path) -> None:
    assert "torch._dynamo" in loaded(tmp_path, "pruner=lt")
    assert loaded(tmp_path, "pruner=lt") & {*SLOW} == set()
