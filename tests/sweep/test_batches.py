"""Sweepers of others ask our launchers batch by batch: nothing of one batch is lost to the next."""

import json
import os
from pathlib import Path

import pytest
from conftest import TINY
from hydra.core.utils import JobStatus
from hydra.types import HydraContext
from hydra_plugins.sanity_sweeps.local import LocalLauncher
from planning import configuration, loader_of

from sanity.core.config import HOME


@pytest.mark.slow
def test_each_batch_has_a_directory_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PYTHONPATH", HOME):  # what is set for the jobs ends with this test
        monkeypatch.setenv(name, os.environ.get(name, ""))
    loader = loader_of()
    place = f"hydra.sweep.dir={tmp_path}/study"
    config = configuration(loader, *TINY, "hydra/launcher=local", "device=cpu", place)
    launcher = LocalLauncher(n_jobs=1)
    context = HydraContext(config_loader=loader, callbacks=None)  # type: ignore[arg-type]
    launcher.setup(hydra_context=context, task_function=lambda _: None, config=config)
    given = (*TINY, "until=prune", "pruner=random")
    for number in (0, 1):
        (found,) = launcher.launch([[*given, f"seed={number}"]], initial_job_idx=number)
        assert found.status == JobStatus.COMPLETED
    records = sorted((tmp_path / "study").glob("batch_*/0_*/record.json"))
    assert [json.loads(path.read_text())["seed"] for path in records] == [0, 1]
