"""A download is whole and right, or leaves nothing."""

import http.client
import io
import urllib.error
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
from dataset_originals import md5

from sanity.core.errors import DataError
from sanity.data import fetch as fetching
from sanity.data.fetch import fetch

HAND = "put it there by hand"


@pytest.fixture
def host(tmp_path: Path) -> Path:
    path = tmp_path / "host.bin"
    path.write_bytes(bytes(range(256)) * 10_000)
    return path


def test_a_file_arrives_and_is_not_fetched_again(host: Path, tmp_path: Path) -> None:
    target, digest = tmp_path / "raw" / "toy" / "file", md5(host)
    fetch(host.as_uri(), target, digest, HAND)
    assert target.read_bytes() == host.read_bytes()
    host.unlink()
    fetch(host.as_uri(), target, digest, HAND)
    assert [path.name for path in target.parent.iterdir()] == ["file"]


def test_a_file_cut_short_is_fetched_again(host: Path, tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_bytes(host.read_bytes()[:1000])
    fetch(host.as_uri(), target, md5(host), HAND)
    assert target.read_bytes() == host.read_bytes()


def test_a_wrong_digest_is_refused_and_what_was_there_stays(host: Path, tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_bytes(b"old")
    with pytest.raises(DataError, match=f"arrived damaged .*not {'0' * 32}.* or {HAND}"):
        fetch(host.as_uri(), target, "0" * 32, HAND)
    assert target.read_bytes() == b"old"
    assert not (tmp_path / "file.part").exists()


class Failing(io.BytesIO):
    """A response that breaks off after its first bytes."""

    headers: dict[str, str] = {}  # noqa: RUF012

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self._pieces: list[Any] = [b"some", error]

    def read(self, size: int | None = -1) -> bytes:
        piece = self._pieces.pop(0)
        if isinstance(piece, BaseException):
            raise piece
        return bytes(piece)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (TimeoutError("timed out"), "timed out"),
        (ConnectionResetError(104, "Connection reset by peer"), "Connection reset by peer"),
        (http.client.IncompleteRead(b"some", 10), "IncompleteRead"),
        (urllib.error.URLError("no host"), "no host"),
        (urllib.error.HTTPError("u", 403, "Forbidden", Message(), None), "status 403 Forbidden"),
    ],
)
def test_a_network_that_fails_is_one_clear_line(
    error: Exception, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching.urllib.request, "urlopen", lambda *_, **__: Failing(error))
    target = tmp_path / "file"
    with pytest.raises(DataError) as caught:
        fetch("http://host/file", target, "0" * 32, HAND)
    line = str(caught.value)
    assert line.startswith(f"{target} is missing and http://host/file cannot be downloaded (")
    assert reason in line
    assert line.endswith(HAND)
    assert "\n" not in line
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    response = Failing(KeyboardInterrupt())
    monkeypatch.setattr(fetching.urllib.request, "urlopen", lambda *_, **__: response)
    with pytest.raises(KeyboardInterrupt):
        fetch("http://host/file", tmp_path / "file", "0" * 32, HAND)
    assert list(tmp_path.iterdir()) == []


def test_progress_is_shown_on_a_terminal_only(
    host: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rich.console import Console

    for terminal in (False, True):
        shown = io.StringIO()
        console = Console(file=shown, force_terminal=terminal, width=80)
        monkeypatch.setattr(fetching, "err", console)
        fetch(host.as_uri(), tmp_path / f"file{terminal}", md5(host), HAND)
        assert ("host.bin" in shown.getvalue()) is terminal
