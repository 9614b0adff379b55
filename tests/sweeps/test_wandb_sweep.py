"""sweeps/wandb/tickets.yaml with wandb's own commands, against a server on this host."""

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import TINY, Compose
from omegaconf import OmegaConf
from wandb_stub import ENTITY, PROJECT, SWEEP, Stub, run_command, served

from sanity.core.config import PROJECT as CHECKOUT
from sanity.experiment.experiment import build
from sanity.experiment.validation import validate

SWEEP_FILE = CHECKOUT / "sweeps" / "wandb" / "tickets.yaml"


def wandb(stub: Stub, directory: Path, *command: str) -> str:
    """What a command of wandb's prints, with ``directory`` for all it writes."""
    ours = {"HOME": str(directory), "WANDB_DIR": str(directory), "XDG_CACHE_HOME": str(directory)}
    inherited = {
        name: text for name, text in os.environ.items() if not name.startswith(("WANDB_", "PYTEST"))
    }
    # The agent calls `python`, as one who has activated the environment.
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        [sys.executable, "-m", "wandb", *command],
        cwd=CHECKOUT,
        env=inherited | ours | stub.environment() | {"PATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def content(text: str) -> dict[str, Any]:
    """A sweep's file as data; its ``${...}`` are wandb's."""
    plain = OmegaConf.to_container(OmegaConf.create(text), resolve=False)
    assert isinstance(plain, dict)
    return {str(name): value for name, value in plain.items()}


def test_every_run_of_the_sweep_makes_sense(configure: Compose) -> None:
    parameters = content(SWEEP_FILE.read_text())["parameters"]
    choices = {
        name: given.get("values", [given.get("value")]) for name, given in parameters.items()
    }
    one_seed = choices | {"seed": choices["seed"][:1]}
    runs = [dict(zip(one_seed, run, strict=True)) for run in itertools.product(*one_seed.values())]
    assert len(runs) * len(choices["seed"]) == 90  # as the file says
    for run in runs:
        validate(build(configure(*(f"{name}={value}" for name, value in run.items()))))


@pytest.mark.slow
def test_the_sweep_is_created_and_its_agent_runs_what_it_is_told(tmp_path: Path) -> None:
    tiny = dict(override.split("=", 1) for override in ("dataset=digits", *TINY))
    told = {
        "first": {"pruner": "random", "sanity_check": "none", "ratio.sparsity": 0.8, "seed": 1},
        "second": {"pruner": "lt", "sanity_check": "rearrange", "ratio.sparsity": 0.9, "seed": 2},
        "again": {"pruner": "random", "sanity_check": "none", "ratio.sparsity": 0.8, "seed": 1},
    }
    commands = [
        run_command(name, tiny | settings | {"hydra.run.dir": str(tmp_path / name)})
        for name, settings in told.items()
    ]
    with served(Stub(commands)) as stub:
        assert f"wandb agent {ENTITY}/{PROJECT}/{SWEEP}" in wandb(
            stub, tmp_path, "sweep", str(SWEEP_FILE)
        )
        assert stub.config is not None
        assert content(stub.config) == content(SWEEP_FILE.read_text())
        wandb(stub, tmp_path, "agent", f"{ENTITY}/{PROJECT}/{SWEEP}")
    assert stub.commands == []
    # The agent's run is the ticket's; dense networks are runs beside the sweep.
    assert {run.facts["sweep"] for run in stub.runs.values() if "sweep" in run.facts} == {SWEEP}
    for name in told:
        run = stub.runs[name]
        assert run.facts["sweep"] == SWEEP
        assert run.settings["stage"] == "train_ticket"
        assert run.summary["test_accuracy"] == run.summary["final/test_accuracy"]
    (dense,) = (run for name, run in stub.runs.items() if name not in told)
    assert (dense.facts["jobType"], "sweep" in dense.facts) == ("dense", False)
    for name, settings in told.items():
        record = json.loads((tmp_path / name / "record.json").read_text())
        assert record["status"] == "completed"
        assert record["choices"]["dataset"] == "digits"
        assert {
            "pruner": record["choices"]["pruner"],
            "sanity_check": record["choices"]["sanity_check"],
            "ratio.sparsity": record["config"]["ratio"]["sparsity"],
            "seed": record["seed"],
        } == settings
