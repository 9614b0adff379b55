"""A job is a single run, whatever a configuration of one's own says of Hydra's mode."""

from pathlib import Path

import pytest

from sanity.core.errors import ConfigError
from sanity.stages.stage import Planned
from sanity.sweep import job

TINY = ("arch.widths=[4,8,8]", "training=smoke", "dataset.limit=160", "pruner=random",
        "ratio=uniform", "ratio.sparsity=0.8", "device=cpu", "tracker=none")  # fmt: skip


def test_a_mode_of_ones_own_makes_no_sweep_of_a_job(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "mine.yaml").write_text("defaults: [config, _self_]\nhydra:\n  mode: MULTIRUN\n")
    options = ("--config-dir", str(own), "--config-name", "mine")
    job.run((*options, *TINY, f"hydra.run.dir={tmp_path / 'run'}"), Planned({}))
    assert (tmp_path / "run" / "record.json").exists()


def test_a_configuration_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="gone: is not there"):
        job.run(("--config-dir", str(tmp_path / "gone"), *TINY), Planned({}))
