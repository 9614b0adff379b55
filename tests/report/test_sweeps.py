"""A sweep ends with its report, whatever became of its jobs."""

import csv
import json
import re
import subprocess
import sys
from pathlib import Path

import processes
import pytest

from sanity.core.config import PROJECT
from sanity.report.__main__ import main

TINY = ("arch.widths=[4,8,8]", "training=smoke", "dataset.limit=160", "device=cpu")

OWN_PRUNER = """
from sanity.pruners.base import Pruner, Scores, Scoring


class Own(Pruner):
    def score(self, scoring: Scoring) -> Scores:
        return {name: weight.abs() for name, weight in scoring.weights.items()}
"""


def sweep(cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", str(PROJECT / "run.py"), *TINY, *arguments]
    where = ("hydra.sweep.dir=sweep", "hydra/launcher=local", "hydra.launcher.n_jobs=2")
    return processes.run([*command, *where], cwd)


@pytest.mark.slow
def test_a_battery_for_your_own_pruner_ends_with_its_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine" / "pruner").mkdir(parents=True)
    (tmp_path / "mine" / "own_pruner.py").write_text(OWN_PRUNER)
    (tmp_path / "mine" / "pruner" / "mine.yaml").write_text("_target_: own_pruner.Own\n")
    arguments = ("--config-dir", "mine", "sweep=battery", "pruner=mine", "ratio.sparsity=0.8")
    done = sweep(tmp_path, *arguments, "seed=0,1", "verdict.margin=2")
    assert done.returncode == 0, done.stderr
    assert "report: sweep/report.html" in done.stdout
    assert "smaller than 2 points" in done.stdout
    assert done.stdout.index("control") < done.stdout.index("accuracy as found, mean")
    page = (tmp_path / "sweep" / "report.html").read_text()
    for words in ("Battery: what does this pruner use?", "mine 80%", "rearranged", "new weights"):
        assert words in page
    assert f"python run.py --config-dir={tmp_path / 'mine'}" in page
    assert "sweep=battery pruner=mine ratio.sparsity=0.8 seed=0,1" in page
    capsys.readouterr()
    assert main([str(tmp_path / "sweep"), "--format", "json"]) == 0
    content = json.loads(capsys.readouterr().out)
    asked = {one["check"] for one in content["verdicts"] if one["pruner"] == "mine"}
    checks = {"invert", "rearrange", "shuffle_weights", "reinit", "random_ticket"}
    assert asked == checks, "it sees no data, so no data check applies"
    assert {one["control"] for one in content["verdicts"]} == {None, "negative", "positive"}
    assert all(one["n"] == 2 for one in content["verdicts"])
    assert content["criteria"]["margin"] == 2


@pytest.mark.slow
def test_what_failed_is_in_the_report_of_the_rest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grid = ("-m", "pruner=random", "sanity_check=none,rearrange", "training.lr=0.05,1e30")
    done = sweep(tmp_path, *grid, "ratio.sparsity=0.8")
    assert done.returncode == 1
    assert "2 of 4 jobs are not done" in done.stderr
    assert "report: sweep/report.html" in done.stdout
    page = (tmp_path / "sweep" / "report.html").read_text()
    assert page.count("loss") == 1, "one reason is one row"
    assert re.search(r"<td>2: \w.* and \w.*</td><td>failed</td>", page)
    with (tmp_path / "sweep" / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert sorted(row["status"] for row in rows) == ["completed", "completed", "failed", "failed"]
    assert all("loss" in row["reason"] for row in rows if row["status"] == "failed")
    # Half-finished: what is still to come is missing, and the rest is reported all the same.
    for path in (tmp_path / "sweep").glob("*rearrange*/record.json"):
        path.unlink()
    assert main([str(tmp_path / "sweep")]) == 0
    assert "missing" in capsys.readouterr().out
