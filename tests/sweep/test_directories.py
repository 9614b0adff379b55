"""What lies where: a directory a job, a copy of one's own code, and names shown as they are."""

from pathlib import Path

import pytest
from planning import plan_of

from sanity import console
from sanity.errors import ConfigError
from sanity.sweep import snapshot


def test_two_jobs_in_one_directory_are_refused() -> None:
    with pytest.raises(ConfigError, match="gives 2 jobs the directory 0; let it contain"):
        plan_of("pruner=random,synflow", "hydra.sweep.subdir=${seed}")


def test_sweeps_in_ones_own_directory_are_no_part_of_its_code(tmp_path: Path) -> None:
    """With --config-dir=. each copy would hold all earlier ones."""
    (tmp_path / "mine.py").write_text("A = 1\n")
    place = tmp_path / "multirun" / "today"
    place.mkdir(parents=True)
    (place / "sweep.json").write_text("{}")
    first = snapshot.take(place / "code", tmp_path)
    assert first.config_dir is not None
    assert [path.name for path in first.config_dir.rglob("*")] == ["mine.py"]
    assert snapshot.take(place / "code", tmp_path) == first
    (tmp_path / "mine.py").write_text("A = 2\n")
    assert snapshot.take(place / "code", tmp_path) != first


def test_brackets_and_colons_are_shown_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    console.echo("classes=[cat,dog] path=[/a] :smile:")
    assert capsys.readouterr().out == "classes=[cat,dog] path=[/a] :smile:\n"
