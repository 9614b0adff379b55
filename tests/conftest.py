"""Shared by all tests: one thread, private directories, tiny runs without Hydra's main."""

import json
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig

from sanity.core.config import HOME, PROJECT
from sanity.core.console import LogHandler

# A network of 2,504 prunable weights, two epochs on 160 digits: a run takes half a second.
TINY = (
    "arch.widths=[4,8,8]",
    "training=smoke",
    "dataset.limit=160",
    "ratio.sparsity=0.8",
    "device=cpu",
)

# Started in the background by a script, everything would inherit deafness to Ctrl-C.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

Compose = Callable[..., DictConfig]
Run = Callable[..., dict[str, Any]]


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _nothing_stays() -> Iterator[None]:
    """What a test sets up for its process ends with it: modules' places, and handlers of logs."""
    path, names = list(sys.path), ("PYTHONPATH", HOME)
    before = [os.environ.get(name) for name in names]
    yield
    sys.path[:] = path
    root = logging.getLogger()
    root.handlers[:] = [one for one in root.handlers if not isinstance(one, LogHandler)]
    assert [os.environ.get(name) for name in names] == before


@pytest.fixture(autouse=True)
def _private_directories(
    _nothing_stays: None, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing a test does reaches the user's data or results; digits are packed once."""
    monkeypatch.setenv("SANITY_STORE_DIR", str(tmp_path_factory.mktemp("store")))
    monkeypatch.setenv("SANITY_DATA_DIR", str(tmp_path_factory.getbasetemp() / "data"))
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("WANDB_MODE", "disabled")  # but where trackers are what is tested


@pytest.fixture
def configure() -> Iterator[Compose]:
    """Compose the project's configuration with overrides, as the command line would."""
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(PROJECT / "conf"), version_base="1.3"):
        yield lambda *overrides: compose("config", list(overrides))


@pytest.fixture
def run(configure: Compose, tmp_path: Path) -> Run:
    """Run the pipeline on a tiny network and return its record; directories are numbered."""
    from sanity import pipeline

    def execute(*overrides: str, tiny: bool = True) -> dict[str, Any]:
        directory = tmp_path / f"run{len(list(tmp_path.glob('run*')))}"
        directory.mkdir()
        try:
            pipeline.run(configure(*(TINY if tiny else ()), *overrides), directory)
        finally:
            record = json.loads((directory / "record.json").read_text())
        return record | {"directory": directory}

    return execute


def reused(record: dict[str, Any]) -> set[str]:
    """The stages of a run that came from the store."""
    return {name for name, stage in record["stages"].items() if stage["reused"]}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-frozen", action="store_true", help="write frozen values anew")


@pytest.fixture
def update_frozen(request: pytest.FixtureRequest) -> Callable[[Path, str, Any], Any]:
    """The frozen value ``name`` in a JSON file; with --update-frozen, written there first."""

    def frozen(path: Path, name: str, found: Any) -> Any:
        content = json.loads(path.read_text()) if path.exists() else {}
        if request.config.getoption("--update-frozen"):
            content[name] = found
            path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n")
        return content[name]

    return frozen
