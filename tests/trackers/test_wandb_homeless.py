"""W&B for users of whom the system knows little: no entry, no home, nowhere to keep anything."""

import os
import pwd
import stat
from pathlib import Path
from typing import NoReturn

import pytest
from conftest import Compose
from tracking import call, offline_runs

from sanity import trackers
from sanity.trackers.wandb import Wandb
from sanity.trackers.wandb import session as wandb_session


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch) -> None:
    """A uid without an entry, as containers and clusters have them, and no HOME."""

    def unknown(uid: int) -> NoReturn:
        raise KeyError(uid)

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    for name in ("HOME", "NETRC", "WANDB_DATA_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("homeless")
def test_without_a_home_there_is_no_key() -> None:
    assert not wandb_session.has_key()
    assert "offline" in Wandb(dir="/tmp").where(None)


@pytest.mark.usefixtures("homeless")
def test_wandb_is_given_a_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wandb_session.session, "directory", tmp_path)
    monkeypatch.setattr(wandb_session.session, "prepared", False)
    wandb_session.session.prepare()
    assert os.environ["HOME"] == str(tmp_path)


@pytest.mark.usefixtures("homeless")
@pytest.mark.parametrize("name", ["WANDB_CACHE_DIR", "XDG_CACHE_HOME", "HOME"])
def test_a_cache_that_cannot_be_written_is_replaced(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "/proc/nowhere")
    wandb_session.make_room(tmp_path)
    assert os.environ["WANDB_CACHE_DIR"] == str(tmp_path / ".cache")
    monkeypatch.delenv("WANDB_CACHE_DIR")
    monkeypatch.setenv(name, str(tmp_path / "mine"))
    wandb_session.make_room(tmp_path)
    assert os.environ.get("WANDB_CACHE_DIR", "") in ("", str(tmp_path / "mine"))


def test_a_run_without_a_home_is_shown_and_says_no_more_than_any_other(tmp_path: Path) -> None:
    nowhere = "/proc/nowhere"  # where root cannot write either
    done = call(tmp_path, "pruner=random", HOME=nowhere, XDG_CACHE_HOME=nowhere, TMPDIR=nowhere)
    assert len(offline_runs(tmp_path)) == 1
    assert " INFO " not in done.stderr
    assert "ERROR" not in done.stderr
    assert "warning" not in done.stderr


def test_wandbs_settings_that_cannot_be_read_are_no_news(tmp_path: Path) -> None:
    settings = tmp_path / ".config" / "wandb" / "settings"
    settings.mkdir(parents=True)  # a directory: root may read any file
    done = call(tmp_path, "pruner=random")
    assert "wandb: WARNING" not in done.stderr
    assert stat.S_ISDIR(settings.stat().st_mode)


@pytest.mark.parametrize(
    ("value", "mode", "shown"),
    [
        *((text, None, False) for text in ("true", "1", "YES", "on")),
        *((text, None, True) for text in ("", "false", "0", "off")),
        ("true", "offline", True),
    ],
)
def test_wandb_disabled_is_heard(
    value: str,
    mode: str | None,
    shown: bool,
    configure: Compose,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its own variable of long standing, which many job scripts set; a mode says more."""
    monkeypatch.delenv("WANDB_MODE")
    monkeypatch.setenv("WANDB_DISABLED", value)
    asked = [] if mode is None else [f"tracker.wandb.mode={mode}"]
    assert bool(trackers.build(configure(*asked))) is shown
