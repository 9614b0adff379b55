"""The tracker that sanity/trackers/README.md shows works as it stands."""

import re
import sys
from pathlib import Path

import processes
from tracking import call, environment, metrics

from sanity.core.config import PROJECT


def test_the_documented_tracker_runs_beside_tensorboard(tmp_path: Path) -> None:
    text = (PROJECT / "sanity" / "trackers" / "README.md").read_text()
    blocks = dict(re.findall(r"`mine/(\S+)`[^\n]*\n\n```\w+\n(.*?)```", text, re.DOTALL))
    assert set(blocks) == {"tracker/log.yaml", "my_tracker.py"}
    for name, content in blocks.items():
        path = tmp_path / "mine" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    done = call(
        tmp_path, "--config-dir", "mine", "tracker=[log,tensorboard]", "pruner=random", "seed=2"
    )
    assert "log: curves.txt" in done.stderr
    name = "random x smart 80% s2 digits resnet8"
    lines = [
        f"{name}: epoch {line['epoch']}: {line['test_accuracy']:.2f}"
        for line in metrics(tmp_path / "run")["train_ticket"]
    ]
    assert (tmp_path / "curves.txt").read_text().splitlines() == [*lines, f"{name}: completed"]


def test_finished_runs_are_shown_by_a_tracker_of_ones_own(tmp_path: Path) -> None:
    """Its directory has letters that Hydra's grammar lacks; options stand where one likes."""
    text = (PROJECT / "sanity" / "trackers" / "README.md").read_text()
    own = tmp_path / "a b ü=1"
    for name, content in re.findall(r"`mine/(\S+)`[^\n]*\n\n```\w+\n(.*?)```", text, re.DOTALL):
        (own / name).parent.mkdir(parents=True, exist_ok=True)
        (own / name).write_text(content)
    call(tmp_path, "pruner=random", "tracker=none")
    command = [sys.executable, "-m", "sanity.trackers", "send", "tracker=log"]
    done = processes.run(
        [*command, "--config-dir", str(own), "run", "--again"], tmp_path, environment(tmp_path)
    )
    assert done.returncode == 0, done.stderr
    assert "1 of 1 runs are shown" in done.stdout
    assert (tmp_path / "curves.txt").read_text().endswith(": completed\n")
    missing = processes.run(
        [*command, "--config-dir", "nowhere", "run"], tmp_path, environment(tmp_path)
    )
    assert missing.returncode == 2
    assert missing.stderr == "sanity.trackers: --config-dir=nowhere: no such directory\n"
