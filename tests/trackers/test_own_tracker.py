"""The tracker that sanity/trackers/README.md shows works as it stands."""

import re
from pathlib import Path

from tracking import call, metrics

from sanity.config import PROJECT


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
