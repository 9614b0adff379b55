"""A SLURM cluster of one's own on this host, and the few commands that tests give it."""

import os
import re
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

HERE = Path(__file__).parent
COMMANDS = ("sbatch", "squeue", "scontrol")
DAEMONS = ("slurmctld", "slurmd", "munged")
OTHERS = ("SLURM_", "SBATCH_", "SRUN_", "SQUEUE_", "SINFO_")  # of a job that the tests run in
PORT_TAKEN = 3  # slurm-up's exit code

Found = TypeVar("Found")


class Entry(NamedTuple):
    """A line of squeue, in SLURM's words."""

    state: str
    reason: str
    dependency: str
    node: str


@dataclass(frozen=True)
class Cluster:
    """A running cluster; every command sees it, wherever the caller's environment points."""

    directory: Path
    path: str  # the PATH that it was started with; a test may have changed its own

    def environment(self) -> dict[str, str]:
        """The caller's environment, with this cluster as the only one."""
        kept = {name: text for name, text in os.environ.items() if not name.startswith(OTHERS)}
        path = f"{self.directory / 'bin'}:{self.path}"
        return kept | {"SLURM_CONF": str(self.directory / "slurm.conf"), "PATH": path}

    def run(self, *command: str, text: str = "") -> str:
        """What a command prints; AssertionError with what it complains about if it fails."""
        done = subprocess.run(
            command, env=self.environment(), input=text, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, f"{' '.join(command)}: {done.stdout}{done.stderr}"
        return done.stdout

    def submit(self, script: str, *options: str) -> str:
        """Submit lines of bash with sbatch's options; the job's id."""
        command = ("sbatch", "--parsable", "--output=/dev/null", *options)
        return self.run(*command, text=f"#!/bin/bash\n{script}\n").strip()

    def queue(self, job: str | None = None) -> dict[str, Entry]:
        """The jobs that are known, ended ones too, a line a task: by ``12`` or ``12_3``."""
        of_job = () if job is None else (f"--jobs={job}",)
        lines = self.run("squeue", "-h", "-r", "-t", "all", "-o", "%i|%T|%r|%E|%N", *of_job)
        rows = (line.split("|") for line in lines.splitlines())
        return {row[0]: Entry(*row[1:]) for row in rows}

    def states(self, job: str) -> dict[str, str]:
        """The state of a job, or of each task of an array."""
        return {name: entry.state for name, entry in self.queue(job).items()}

    def job(self, job: str) -> dict[str, str]:
        """The fields of ``scontrol show job``; of an array's first record, if it has several."""
        record = self.run("scontrol", "--oneliner", "show", "job", job).splitlines()[0]
        return dict(re.findall(r"(\S+?)=(.*?)(?=\s+[A-Z][\w:/]*=|\s*$)", record))

    def update(self, job: str, **fields: str) -> None:
        """Change fields of a job, or of tasks of an array (``12_[0-2,4]``)."""
        changes = [f"{name}={value}" for name, value in fields.items()]
        self.run("scontrol", "update", f"JobId={job}", *changes)

    def release(self, *jobs: str) -> None:
        """Let held jobs start."""
        for job in jobs:
            self.run("scontrol", "release", job)

    def requeue(self, job: str) -> None:
        """Stop a running job and let it start anew, as preemption does."""
        self.run("scontrol", "requeue", job)

    def cancel(self, *jobs: str) -> None:
        """End jobs: without ids all, and then wait until they have ended."""
        self.run("scancel", *(jobs or ("--me",)))
        if not jobs:
            self.wait(lambda: not self.run("squeue", "-h"))

    def wait(self, predicate: Callable[[], Found], timeout: float = 60) -> Found:
        """The first truthy answer; AssertionError with the queue after ``timeout`` seconds."""
        end = time.monotonic() + timeout
        while not (answer := predicate()):
            if time.monotonic() > end:
                raise AssertionError(f"not within {timeout} s:\n{self.run('squeue', '-r')}")
            time.sleep(0.1)
        return answer


def missing(path: str | None = None) -> str | None:
    """What to install before a cluster can be started (None: nothing)."""
    path = os.environ["PATH"] if path is None else path
    daemons = f"{path}:/usr/sbin:/sbin"  # not on everybody's path, and slurm-up looks there
    absent = [name for name in COMMANDS if shutil.which(name, path=path) is None]
    absent += [name for name in DAEMONS if shutil.which(name, path=daemons) is None]
    return f"no {', '.join(absent)}: apt-get install slurm-wlm munge" if absent else None


def lab(
    command: str, directory: Path, *options: str, **settings: object
) -> subprocess.CompletedProcess[str]:
    """Call slurm-up or slurm-down with SLURM_LAB_<NAME>=value for each setting."""
    values = {f"SLURM_LAB_{name.upper()}": str(value) for name, value in settings.items()}
    kept = {name: text for name, text in os.environ.items() if not name.startswith(OTHERS)}
    return subprocess.run(
        [HERE / command, *options],
        env=kept | {"SLURM_LAB_DIR": str(directory)} | values,
        capture_output=True,
        text=True,
        timeout=180,
    )


@contextmanager
def started(**settings: object) -> Iterator[Cluster]:
    """A cluster on free ports, stopped in the end; also if this process is killed before."""
    directory = Path(tempfile.mkdtemp(prefix="sl", dir="/tmp"))  # sockets' names must be short
    try:
        for _ in range(20):
            port = 20000 + 10 * secrets.randbelow(1000)  # below those that systems give away
            done = lab("slurm-up", directory, **({"port": port, "owner": os.getpid()} | settings))
            if done.returncode != PORT_TAKEN:
                break
        assert done.returncode == 0, f"slurm-up: {done.stdout}{done.stderr}"
        yield Cluster(directory, os.environ["PATH"])
    finally:
        lab("slurm-down", directory, "-w")
        shutil.rmtree(directory, ignore_errors=True)
