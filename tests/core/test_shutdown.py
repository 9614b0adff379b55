"""However signals come, a command ends in one line and with the shell's exit code."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sanity.core.config import PROJECT

PROGRAM = """
import sys, time
from sanity.core import shutdown
from sanity.core.signals import Terminated

shutdown.begin("program")
ended = shutdown.of("program")
try:
    if "work" in sys.argv:
        shutdown.work_begins()
    print("ready", flush=True)
    time.sleep(60)
except (KeyboardInterrupt, Terminated) as error:
    print("unwinding", flush=True)
    if "slow" in sys.argv:
        time.sleep(60)
    elif "moment" in sys.argv:
        time.sleep(0.5)
    print("unwound", flush=True)
    sys.exit(ended.say(ended.cause(error)))
finally:
    if "exit" in sys.argv:
        time.sleep(60)
"""


def start(*words: str) -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *words],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def end(process: "subprocess.Popen[str]") -> tuple[str, str]:
    out, errors = process.communicate(timeout=20)
    return out, errors


@pytest.mark.parametrize(
    ("signum", "line"),
    [
        (signal.SIGINT, "program: interrupted\n"),
        (signal.SIGTERM, "program: stopped by SIGTERM\n"),
        (signal.SIGHUP, "program: stopped by SIGHUP\n"),
    ],
)
@pytest.mark.parametrize("words", [(), ("work",)])
def test_a_signal_ends_it_in_one_line(signum: int, line: str, words: tuple[str, ...]) -> None:
    process = start(*words)
    process.send_signal(signum)
    out, errors = end(process)
    assert errors == line
    assert process.returncode == 128 + signum
    assert ("unwound" in out) is bool(words), "only work is unwound"


def test_two_in_a_row_are_one_wish(tmp_path: Path) -> None:
    process = start("work", "moment")
    process.send_signal(signal.SIGINT)
    time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, errors = end(process)
    assert "unwound" in out
    assert errors == "program: interrupted\n"
    assert process.returncode == 130


def test_who_asks_again_later_need_not_wait() -> None:
    process = start("work", "slow")
    process.send_signal(signal.SIGINT)
    time.sleep(1.3)
    process.send_signal(signal.SIGINT)
    out, errors = end(process)
    assert "unwound" not in out
    assert errors == "program: interrupted\n"
    assert process.returncode == 130


def test_signals_while_it_ends_leave_no_traceback() -> None:
    process = start("work", "exit")
    process.send_signal(signal.SIGINT)
    time.sleep(1.3)
    for _ in range(3):
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
    _, errors = end(process)
    assert errors == "program: interrupted\n"
    assert process.returncode == 130


@pytest.mark.slow
@pytest.mark.parametrize("pause", [0.02, 0.2, 0.6, 1.2, 2.5])
def test_ctrl_c_twice_ends_the_command_in_one_line_at_any_moment(
    tmp_path: Path, pause: float
) -> None:
    """While it imports, composes, plans or trains; a process of its own imports all anew."""
    environment = {**os.environ, "WANDB_MODE": "disabled"}
    command = [sys.executable, str(PROJECT / "run.py"), "device=cpu", "training.epochs=1000"]
    process = subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    wait_for_handlers(process.pid)
    time.sleep(pause)
    process.send_signal(signal.SIGINT)
    time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    text = errors.decode()
    assert process.returncode == 130, text
    assert "Traceback" not in text
    assert text.splitlines()[-1].startswith("run.py: interrupted")


def wait_for_handlers(pid: int) -> None:
    """Wait until a process does something about SIGINT: Python itself needs a moment, too."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        status = Path(f"/proc/{pid}/status").read_text()
        caught = int(next(line for line in status.splitlines() if "SigCgt" in line).split()[1], 16)
        if caught >> (signal.SIGHUP - 1) & 1:  # which Python leaves alone
            return
        time.sleep(0.01)
    raise AssertionError("it never handled signals")
