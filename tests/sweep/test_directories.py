"""What lies where: a directory a job, a copy of one's own code, and names shown as they are."""

from pathlib import Path

import pytest
from planning import plan_of

from sanity.core import console
from sanity.core.config import PROJECT
from sanity.core.errors import ConfigError
from sanity.identity import sources
from sanity.identity.sources import Located
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
    (tmp_path / "pruner.yaml").write_text("a: 1\n")
    (tmp_path / "linked.py").symlink_to(tmp_path / "mine.py")
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "w.pt").write_text("1")
    first = snapshot.take(place / "code", tmp_path, [])
    assert first.config_dir is not None
    assert sorted(path.name for path in first.config_dir.rglob("*")) == [
        "linked.py",
        "mine.py",
        "pruner.yaml",
        "weights",
    ]
    assert not (first.config_dir / "linked.py").is_symlink(), "code is copied, wherever it lies"
    assert (first.config_dir / "weights").is_symlink(), "what is no code is not copied"
    assert snapshot.take(place / "code", tmp_path, []) == first
    (tmp_path / "pruner.yaml").write_text("a: 2\n")
    assert snapshot.take(place / "code", tmp_path, []) != first


def test_code_below_linked_directories_is_copied_and_data_is_linked(tmp_path: Path) -> None:
    mine, away = tmp_path / "mine", tmp_path / "away"
    for name in ("lib/helper.py", "pruner/x.yaml", "deep/in/it.py", "data/train/0.png"):
        (away / name).parent.mkdir(parents=True)
        (away / name).write_text("1\n")
    mine.mkdir()
    for name in ("lib", "pruner", "deep", "data"):
        (mine / name).symlink_to(away / name)
    (away / "lib" / "inner").mkdir()
    (away / "lib" / "inner" / "pixels.bin").write_text("1")
    (away / "lib" / "again").symlink_to(away / "pruner")
    (away / "pruner" / "back").symlink_to(away / "lib")
    (mine / "up").symlink_to(tmp_path)
    (mine / "self").symlink_to(mine)
    (mine / "gone").symlink_to(tmp_path / "nowhere")
    reached = [Located("deep.in.it", mine / "deep" / "in" / "it.py", False)]
    copy = snapshot.take(tmp_path / "code", mine, reached).config_dir
    assert copy is not None
    for name in ("lib/helper.py", "pruner/x.yaml", "deep/in/it.py"):
        (away / name).write_text("2\n")
        assert (copy / name).read_text() == "1\n"
    assert (copy / "lib" / "inner").is_symlink(), "no code, and maybe large"
    assert len(list(copy.rglob("helper.py"))) <= 3, "links that lead back end there"
    assert (copy / "data").is_symlink()
    assert (copy / "data" / "train" / "0.png").read_text() == "1\n"


def test_modules_elsewhere_are_copied_as_they_were_loaded(tmp_path: Path) -> None:
    for name in ("package/inner.py", "single.py", "single.txt", "other.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("A = 1\n")
    package = Located("package.inner", tmp_path / "package" / "inner.py", False)
    single = Located("single", tmp_path / "single.py", False)
    sources.source(single.path)
    single.path.write_text("A = 2\n")
    taken = snapshot.take(tmp_path / "code", None, [package, single])
    copies = taken.code / "lib"
    assert copies in taken.first
    assert (copies / "package" / "inner.py").read_text() == "A = 1\n"
    assert (copies / "single.py").read_text() == "A = 1\n"
    assert (copies / "single.txt").is_symlink()
    assert not (copies / "other.py").exists()


def test_a_copy_has_all_that_the_package_reads(tmp_path: Path) -> None:
    """Templates and tables as well: who starts a command in a job starts it from the copy."""
    copy = snapshot.take(tmp_path / "code", None, []).code
    for part in ("conf", "sanity", "sweeps"):
        read = {
            path.relative_to(PROJECT)
            for path in (PROJECT / part).rglob("*.*")
            if path.is_file() and path.parent.name != "__pycache__"
            if path.name != "README.md" and path.suffix != ".png"
        }
        assert {path.relative_to(copy) for path in (copy / part).rglob("*.*")} >= read


def test_brackets_and_colons_are_shown_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    console.echo("classes=[cat,dog] path=[/a] :smile:")
    assert capsys.readouterr().out == "classes=[cat,dog] path=[/a] :smile:\n"
