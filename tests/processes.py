"""Python commands in processes of their own, which need not import what is slow to import.

A tiny run takes half a second, but torch and what it imports once it computes take three seconds
of CPU, and the tests start hundreds of commands. So one process imports these once, and forks for
each command (``forkserver.py``). It ends with the tests.
"""

import atexit
import functools
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

SERVER = Path(__file__).with_name("forkserver.py")


class Process:
    """A command under way, with as much of ``Popen``'s manners as the tests need."""

    def __init__(
        self, command: Sequence[str], cwd: Path, env: Mapping[str, str] | None = None
    ) -> None:
        assert command[0] == sys.executable
        self.args = list(command)
        self.returncode: int | None = None
        self.texts = ("", "")  # printed and complained about, once it has ended
        self._files = [tempfile.TemporaryFile() for _ in self.texts]  # noqa: SIM115
        facts = {"arguments": self.args[1:], "cwd": str(cwd), "env": dict(env or os.environ)}
        read, report = os.pipe()
        with tempfile.TemporaryFile("w+") as request:
            json.dump(facts, request)
            request.seek(0)
            files = [request, *self._files]
            socket.send_fds(_server(), [b"."], [*(file.fileno() for file in files), report])
        os.close(report)
        self._report: IO[str] = os.fdopen(read)
        self.pid = int(self._report.readline())

    def poll(self) -> int | None:
        """The exit code, negative for a signal, or None while the command is under way."""
        return self._ended(0)

    def wait(self, timeout: float) -> int:
        """Wait for the exit code; raises TimeoutExpired."""
        code = self._ended(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(self.args, timeout)
        return code

    def communicate(self, timeout: float) -> tuple[str, str]:
        """Wait for the end; what the command has printed and what it has complained about."""
        self.wait(timeout)
        return self.texts

    def so_far(self) -> tuple[str, str]:
        """What a command under way has printed and complained about yet."""
        if self.poll() is not None:
            return self.texts
        numbers = [file.fileno() for file in self._files]
        texts = [os.pread(number, os.fstat(number).st_size, 0).decode() for number in numbers]
        return texts[0], texts[1]

    def send_signal(self, number: int) -> None:
        """Send a signal, unless the command has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def _ended(self, timeout: float) -> int | None:
        if self.returncode is None and select.select([self._report], [], [], timeout)[0]:
            with self._report:
                self.returncode = int(self._report.readline())
            self.texts = (_text(self._files[0]), _text(self._files[1]))
        return self.returncode


def run(
    command: Sequence[str],
    cwd: Path,
    env: Mapping[str, str] | None = None,
    timeout: float = 300,
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; after ``timeout`` seconds it is killed, as a failure."""
    process = Process(command, cwd, env)
    try:
        output, errors = process.communicate(timeout)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        raise
    assert process.returncode is not None
    return subprocess.CompletedProcess(process.args, process.returncode, output, errors)


def _text(file: IO[bytes]) -> str:
    with file:
        file.seek(0)
        return file.read().decode()


@functools.cache
def _server() -> socket.socket:
    """The connection to the process that forks; it ends when the connection does."""
    ours, theirs = socket.socketpair()
    with theirs:
        server = subprocess.Popen(
            [sys.executable, str(SERVER), str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env=os.environ | {"OMP_NUM_THREADS": "1"},  # one thread, as in the tests themselves
        )

    def end() -> None:
        ours.close()
        server.wait(10)

    atexit.register(end)
    return ours
