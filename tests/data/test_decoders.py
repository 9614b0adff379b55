"""Images are decoded by several processes as by one, and these end with whoever started them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from dataset_originals import jpeg, png, random_pixels, write_folder

from sanity.data import decoders
from sanity.data.decoders import decode_files
from sanity.data.decoding import Decoded, Form

ROOT = Path(__file__).parents[2]
FILES = {
    **{f"{i}.png": png(pixels) for i, pixels in enumerate(random_pixels(40, 6, 6, 3))},
    **{f"{i}.jpg": jpeg(pixels) for i, pixels in enumerate(random_pixels(40, 9, 5, 3))},
    "grey.png": png(random_pixels(8, 8)),
    "large.png": png(random_pixels(700, 700, 3)),
    "bad.png": b"bad",
    "cut.jpg": jpeg(random_pixels(9, 9, 3))[:200],
}


def load(name: str) -> bytes:
    if name == "gone.png":
        raise FileNotFoundError(2, "No such file or directory", name)
    return FILES[name]


NAMES = [*FILES, "gone.png", *reversed(FILES)]


@pytest.fixture
def two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoders, "cores", lambda: 2)
    monkeypatch.setattr(decoders, "WORTH", 4)


def told(form: Form) -> list[tuple[object, ...]]:
    return [
        (answer.pixels.shape, answer.pixels.tobytes(), answer.traits)
        if isinstance(answer, Decoded)
        else (answer,)
        for answer in decode_files(NAMES, load, form)
    ]


def children(parent: int) -> list[int]:
    """The decoders that a process has started and not waited for."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            words = (place / "stat").read_text().rpartition(")")[2].split()
            command = (place / "cmdline").read_bytes()
        except OSError:  # it has ended
            continue
        if int(words[1]) == parent and b"sanity.data.decoders" in command:
            found.append(int(place.name))
    return found


needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs Linux's /proc")


@needs_proc
@pytest.mark.parametrize("form", [Form(3), Form(1, 4), Form(3, 8, upright=False)])
def test_processes_decode_as_one_does_in_order(form: Form, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = told(form)
    monkeypatch.setattr(decoders, "cores", lambda: 3)
    monkeypatch.setattr(decoders, "WORTH", 4)
    monkeypatch.setattr(decoders, "_decoded", here := Here())
    assert told(form) == alone
    assert not here.count, "no process was asked"
    assert not children(os.getpid())


class Here:
    """In the place of what decodes in this process: how often it was asked to."""

    def __init__(self) -> None:
        self.count, self._decoded = 0, decoders._decoded

    def __call__(self, content: bytes, form: Form) -> decoders.Answer:
        self.count += 1
        return self._decoded(content, form)


def test_where_no_process_can_be_started_this_one_decodes(
    two: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = told(Form(3))
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    monkeypatch.setattr(decoders, "_decoded", here := Here())
    assert told(Form(3)) == expected
    assert here.count == len(NAMES) - 1  # all but the one that cannot be loaded


@needs_proc
def test_a_process_that_is_killed_costs_no_image(
    two: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = told(Form(3))
    monkeypatch.setattr(decoders, "_decoded", here := Here())
    answers = decode_files(NAMES, load, Form(3))
    found = [next(answers)]
    for pid in children(os.getpid()):
        os.kill(pid, signal.SIGKILL)
    found += answers
    assert [a if isinstance(a, str) else a.pixels.tobytes() for a in found] == [
        one[0] if len(one) == 1 else one[1] for one in expected
    ]
    assert here.count


@needs_proc
def test_who_has_seen_enough_leaves_no_process(two: None) -> None:
    answers = decode_files(NAMES, load, Form(3))
    next(answers)
    assert len(children(os.getpid())) == 2
    answers.close()
    assert not children(os.getpid())


def test_no_more_is_loaded_than_is_about_to_be_decoded(
    two: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoders, "BLOCK_BYTES", 1000)  # nine images of 108 bytes, and their files
    loaded: list[str] = []

    def noted(name: str) -> bytes:
        loaded.append(name)
        return FILES["0.png"]

    answers = decode_files(["x"] * 500, noted, Form(3))
    for done in range(400):
        next(answers)
        assert len(loaded) <= done + 5 * 9
    answers.close()


SLOWLY = """
import sys, time
from pathlib import Path
from sanity.data import decoders, open_packed
from sanity.datasets import folder

def slowly(path, most, read=folder.read_file):
    time.sleep(1)
    return read(path, most)

decoders.cores, decoders.WORTH, folder.read_file = lambda: 2, 4, slowly
open_packed(folder.Folder(path=sys.argv[1]), Path(sys.argv[2]))
"""


def wait_until(what: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_at_work(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@needs_proc
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGKILL])
def test_who_is_interrupted_ends_at_once_and_leaves_nothing(
    signum: signal.Signals, tmp_path: Path
) -> None:
    write_folder(tmp_path / "pets")
    packing = subprocess.Popen(
        [sys.executable, "-c", SLOWLY, str(tmp_path / "pets"), str(tmp_path / "data")],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: len(children(packing.pid)) == 2 or packing.poll() is not None)
        at_work = children(packing.pid)
        assert at_work, "it has ended already"
        packing.send_signal(signum)
        assert packing.wait(5) == -signum
        wait_until(lambda: not any(map(is_at_work, at_work)))
    finally:
        packing.kill()
        packing.wait()
    if signum == signal.SIGINT:
        assert [path.suffix for path in (tmp_path / "data").iterdir()] == [".lock"]
