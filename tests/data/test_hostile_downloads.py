"""Files of Fashion-MNIST, CIFAR and their hosts that are not what they should be."""

import gzip
import io
import tarfile
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
import watching
from damage import assert_is_a_line
from dataset_originals import write_cifar, write_fashion_mnist
from torchvision import datasets as torchvision

from sanity.core.errors import DataError
from sanity.data import fetch
from sanity.datasets import fashion_mnist
from sanity.datasets.cifar10 import Cifar10
from sanity.datasets.fashion_mnist import FashionMnist


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(url: str, timeout: float) -> Any:
        raise fetch.urllib.error.URLError("no network")

    monkeypatch.setattr(fetch.urllib.request, "urlopen", unreachable)


@pytest.mark.parametrize("gzipped", [True, False])
def test_idx_files_are_read_no_further_than_they_can_be_long(
    gzipped: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = tmp_path / "raw" / "fashion_mnist"
    write_fashion_mnist(monkeypatch, raw, gzipped)
    path = raw / f"t10k-images-idx3-ubyte{'.gz' if gzipped else ''}"
    if gzipped:
        with gzip.open(path, "wb", 1) as file:
            for _ in range(300):
                file.write(bytes(1 << 20))
    else:
        with path.open("wb") as file:
            file.truncate(4 * fashion_mnist.LARGEST)  # no disk is used for it
    tracemalloc.start()
    try:
        with watching.only_below(raw), pytest.raises(DataError, match="no network") as caught:
            FashionMnist().read(tmp_path)
        assert tracemalloc.get_traced_memory()[1] < 3 * fashion_mnist.LARGEST
    finally:
        tracemalloc.stop()
    assert_is_a_line(caught.value)


def test_the_longest_idx_file_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(bytes(fashion_mnist.LARGEST), 1))
    assert len(fashion_mnist._unzipped(path)) == fashion_mnist.LARGEST


@pytest.mark.parametrize(
    "name", ["../../evil", "/tmp/evil-of-sanity", "cifar-10-batches-py/../../../evil"]
)
@pytest.mark.parametrize("place", ["here", "host"])
def test_a_cifar_archive_with_the_wrong_digest_is_never_unpacked(
    name: str, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = tmp_path / "data" / "raw" / "cifar10"
    write_cifar(monkeypatch, torchvision.CIFAR10, tmp_path / "host", raw, 10)
    raw.mkdir(parents=True)
    hostile = io.BytesIO()
    with tarfile.open(fileobj=hostile, mode="w:gz") as tar:
        info = tarfile.TarInfo(name)
        info.size = 4
        tar.addfile(info, io.BytesIO(b"evil"))
    (raw / "cifar-10-python.tar.gz").write_bytes(hostile.getvalue())
    if place == "host":
        monkeypatch.setattr(
            fetch.urllib.request, "urlopen", lambda *_, **__: Response(hostile.getvalue())
        )
    monkeypatch.setattr("pickle.load", lambda *_, **__: pytest.fail("it was unpickled"))
    monkeypatch.setattr(tarfile, "open", lambda *_, **__: pytest.fail("it was unpacked"))
    with watching.only_below(raw), pytest.raises(DataError) as caught:
        Cifar10().read(tmp_path / "data")
    assert_is_a_line(caught.value)
    assert ("no network" if place == "here" else "arrived damaged") in str(caught.value)
    assert [path.name for path in raw.iterdir()] == ["cifar-10-python.tar.gz"]


class Response(io.BytesIO):
    """What a host sends, with the size it announces."""

    def __init__(self, content: bytes, announced: str | None = None) -> None:
        super().__init__(content)
        self.headers = {} if announced is None else {"Content-Length": announced}


class Endless(Response):
    """A host that does not stop, but for the sake of the disk where nothing else ends it."""

    reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self.reads += 1
        assert self.reads < 20, "it would go on for ever"
        return bytes(fetch.CHUNK)


def fetched(response: Response, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Why a download is refused; it leaves nothing behind."""
    monkeypatch.setattr(fetch.urllib.request, "urlopen", lambda *_, **__: response)
    with watching.only_below(tmp_path), pytest.raises(DataError) as caught:
        fetch.fetch("http://host/file", tmp_path / "file", "0" * 32, "put it there by hand")
    assert list(tmp_path.iterdir()) == []
    assert_is_a_line(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("announced", "most", "message"),
    [
        (None, 5 << 20, "it sends more than the 5,242,880 bytes it should have"),
        ("3000000", 5 << 20, "it sends more than the 3,000,000 bytes it should have"),
        ("6000000", 5 << 20, "it is said to have 6,000,000 bytes, more than 5,242,880"),
        ("soon", 5 << 20, "it sends more than the 5,242,880 bytes"),
        ("-5", 5 << 20, "it sends more than the 5,242,880 bytes"),
        ("9" * 5000, 5 << 20, "it sends more than the 5,242,880 bytes"),
    ],
)
def test_a_host_that_does_not_stop_is_left(
    announced: str | None,
    most: int,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fetch, "MOST", most)
    found = fetched(Endless(b"", announced), tmp_path, monkeypatch)
    assert f"cannot be downloaded ({message}" in found
    assert found.endswith("put it there by hand")


def test_the_bound_leaves_room_for_every_original() -> None:
    assert fetch.MOST > 4 * 248_100_043  # Tiny-ImageNet's archive, the largest


class Failing(Response):
    """A host whose words are unfit for a terminal, or that speaks another protocol."""

    def __init__(self, error: Exception) -> None:
        super().__init__(b"")
        self.error = error

    def read(self, size: int | None = -1, /) -> bytes:
        raise self.error


@pytest.mark.parametrize(
    "error",
    [
        OSError("read error \x1b[31m\n"),
        ValueError("unknown url type"),
        UnicodeError("label too long"),
        fetch.urllib.error.HTTPError("u", 500, "\x1b[2J\nbad", None, None),  # type: ignore[arg-type]
        fetch.http.client.BadStatusLine("\x1b]0;x\x07\n"),
    ],
)
def test_a_hosts_words_are_printable(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "cannot be downloaded (" in fetched(Failing(error), tmp_path, monkeypatch)
