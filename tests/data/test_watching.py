"""The watch that tests keep over the disk sees what Python code does there."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
import watching


def write_through_a_link(inside: Path, outside: Path) -> None:
    (inside / "link").symlink_to(outside / "file")
    (inside / "link").write_text("x")


def rename_in_an_open_directory(inside: Path, outside: Path) -> None:
    handle = os.open(outside, os.O_RDONLY)
    try:
        os.rename("file", "new", src_dir_fd=handle, dst_dir_fd=handle)
    finally:
        os.close(handle)


OFFENCES: dict[str, Callable[[Path, Path], object]] = {
    "write": lambda inside, outside: (outside / "new").write_text("x"),
    "append": lambda inside, outside: (outside / "file").open("ab"),
    "update": lambda inside, outside: (outside / "file").open("r+b"),
    "descriptor": lambda inside, outside: os.open(outside / "new", os.O_CREAT | os.O_WRONLY),
    "temporary": lambda inside, outside: tempfile.mkstemp(dir=outside),
    "climb": lambda inside, outside: (inside / ".." / "outside" / "new").write_text("x"),
    "link": write_through_a_link,
    "open directory": rename_in_an_open_directory,
    "rename": lambda inside, outside: (inside / "file").rename(outside / "new"),
    "take": lambda inside, outside: (outside / "file").replace(inside / "new"),
    "remove": lambda inside, outside: (outside / "file").unlink(),
    "mkdir": lambda inside, outside: (outside / "new").mkdir(),
    "rmdir": lambda inside, outside: (outside / "empty").rmdir(),
    "hardlink": lambda inside, outside: (outside / "new").hardlink_to(inside / "file"),
    "symlink": lambda inside, outside: (outside / "new").symlink_to(inside / "file"),
    "truncate": lambda inside, outside: os.truncate(outside / "file", 0),
    "chmod": lambda inside, outside: (outside / "file").chmod(0o777),
    "chown": lambda inside, outside: os.chown(outside / "file", -1, -1),
    "touch": lambda inside, outside: os.utime(outside / "file"),
    "copy": lambda inside, outside: shutil.copyfile(inside / "file", outside / "new"),
    "rmtree": lambda inside, outside: shutil.rmtree(outside),
    "process": lambda inside, outside: subprocess.run([sys.executable, "-c", ""], check=False),
    "shell": lambda inside, outside: os.system("true"),
    "fork": lambda inside, outside: os.fork() or os._exit(0),
}


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path]:
    for name in ("inside", "outside"):
        (tmp_path / name / "empty").mkdir(parents=True)
        (tmp_path / name / "file").write_text("old")
    return tmp_path / "inside", tmp_path / "outside"


def listing(root: Path) -> dict[str, str]:
    return {str(p): p.read_text() if p.is_file() else "" for p in sorted(root.rglob("*"))}


@pytest.mark.parametrize("offence", OFFENCES)
def test_offences_are_stopped_and_reported(offence: str, places: tuple[Path, Path]) -> None:
    before = listing(places[1])
    with (
        pytest.raises(AssertionError, match="written elsewhere than below"),
        watching.only_below(places[0]),
        pytest.raises(PermissionError),  # also where the block swallows it
    ):
        OFFENCES[offence](*places)
    assert listing(places[1]) == before


def test_what_is_allowed_is_left_alone(places: tuple[Path, Path]) -> None:
    inside, outside = places
    with watching.only_below(inside):
        (inside / "file").write_text("new")
        (inside / "file").rename(inside / "other")
        (inside / "a" / "b").mkdir(parents=True)
        shutil.rmtree(inside / "a")
        (inside / "link").symlink_to(outside)
        (inside / "link").unlink()
        assert (outside / "file").read_text() == "old"
        Path(os.devnull).write_text("gone")
    (outside / "file").write_text("no longer watched")


def test_examples_are_scaled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SANITY_FUZZ", raising=False)
    assert watching.examples(7) == 7
    monkeypatch.setenv("SANITY_FUZZ", "100")
    assert watching.examples(7) == 700
