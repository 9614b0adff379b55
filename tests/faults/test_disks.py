"""Disks that are full, read-only, failing or without locks: one line, and nothing lost."""

import errno
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import seccomp
import trial
from conftest import Run
from trial import Place

from sanity.core import locks
from sanity.core.config import PROJECT
from sanity.core.errors import StoreError
from sanity.store import Store

TINY = (
    *("arch.widths=[4,8,8]", "training=smoke", "dataset.limit=160", "device=cpu", "threads=1"),
    *("ratio.sparsity=0.8", "hydra.run.dir=run", "checkpoint_every=0"),
)
RUN = (*TINY, "pruner=lt")
HERE = Path(__file__).parent
Mount = Callable[..., Path]

needs_seccomp = pytest.mark.skipif(not seccomp.available(), reason="no seccomp here")


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """Mount a small file system in memory, which only root may do; again with other options."""
    mounted: list[Path] = []

    def execute(name: str, options: str) -> Path:
        place = tmp_path / name
        again = place in mounted
        place.mkdir(exist_ok=True)
        options = f"{'remount,' * again}{options}"
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"no file systems can be mounted here: {done.stderr.strip()}")
        mounted.extend([] if again else [place])
        return place

    yield execute
    for place in mounted:
        subprocess.run(["umount", "-l", place], check=True)


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> trial.Reference:
    return trial.look(Place(tmp_path_factory.mktemp("faults") / "undisturbed"), RUN)


def is_one_line(errors: str) -> bool:
    told = [line for line in errors.splitlines() if not line.startswith(("packing", "warning: "))]
    stages = ("train_dense ", "prune ", "rewind ", "train_ticket ")
    told = [line for line in told if not line.startswith(stages)]
    return len(told) == 1 and told[0].startswith("run.py: ") and "Traceback" not in errors


@pytest.mark.slow
@pytest.mark.parametrize(
    "limit",
    [*(f"size={size}k" for size in (12, 60, 120, 140, 160, 200, 240)), "nr_inodes=20"],
)
def test_a_disk_that_is_full_at_some_point(
    mount: Mount, reference: trial.Reference, limit: str
) -> None:
    place = Place(mount("small", limit) / "all")
    process = place.start(*RUN)
    _, errors = process.communicate(120)
    assert process.returncode == 1, errors
    assert is_one_line(errors), errors
    assert "No space left on device" in errors
    whole = place.stored()
    assert place.damage() == []
    mount("small", "size=64m,nr_inodes=0")
    outcome = trial.attempt(place, reference, [])
    assert outcome.fine, outcome
    assert whole.items() <= place.stored().items()


@pytest.mark.slow
@pytest.mark.parametrize("after", ["nothing", "the dense network", "all"])
def test_a_read_only_disk(mount: Mount, reference: trial.Reference, after: str) -> None:
    place = Place(mount("disk", "size=64m") / "all")
    if after != "nothing":
        until = "train_dense" if after == "the dense network" else "train_ticket"
        assert place.start(*RUN, f"until={until}").wait(60) == 0
    before = place.stored()
    mount("disk", "ro")
    process = place.start(*RUN)
    _, errors = process.communicate(60)
    assert process.returncode == 1, errors
    assert errors.splitlines()[-1].startswith("run.py: ")
    assert "Read-only file system" in errors
    assert "Traceback" not in errors
    assert place.stored() == before
    mount("disk", "rw")
    outcome = trial.attempt(place, reference, [])
    assert outcome.fine, outcome
    assert before.items() <= place.stored().items()


@needs_seccomp
@pytest.mark.parametrize("error", [0, errno.ENOSYS, errno.ENOLCK])
def test_a_file_system_without_locks_is_refused(tmp_path: Path, error: int) -> None:
    """0: the system says that the lock is taken, whoever else has it."""
    program = (
        "import sys; sys.path[:0] = sys.argv[1:3]; import seccomp; from pathlib import Path; "
        "from sanity.store import Store; seccomp.refuse(['flock'], int(sys.argv[3])); "
        "Store(Path(sys.argv[4])).open()"
    )
    paths = (str(HERE), str(PROJECT), str(error), str(tmp_path / "store"))
    done = subprocess.run([sys.executable, "-c", program, *paths], capture_output=True, text=True)
    assert done.stderr.splitlines()[-1] == (
        f"sanity.core.errors.StoreError: store_dir={tmp_path}/store: cannot be written (its file "
        "system has no locks (flock): mount it with them, or choose another)"
    )


def test_an_entry_that_cannot_be_read_is_no_damage(run: Run) -> None:
    """/proc/self/mem answers EIO to who reads its beginning, as a failing disk does."""
    record = run("pruner=random")
    store = Store(Path(os.environ["SANITY_STORE_DIR"]))
    path = store.path_of("prune", record["stages"]["prune"]["key"]) / "manifest.json"
    content = path.read_bytes()
    path.unlink()
    path.symlink_to("/proc/self/mem")
    with pytest.raises(StoreError, match=r"store_dir=.*Input/output error"):
        run("pruner=random")
    path.unlink()
    path.write_bytes(content)
    assert run("pruner=random")["stages"]["prune"]["reused"]


def test_a_lock_file_of_another_host_holds_nobody_up(run: Run) -> None:
    """A lock is not the file: it ended with its process, or with its host."""
    record = run("pruner=random")
    root = Path(os.environ["SANITY_STORE_DIR"])
    for lock in (root / ".locks").iterdir():
        lock.write_text("process 4711 on another-host")
        os.utime(lock, (0, 0))
    for stage, facts in record["stages"].items():
        for file in (root / stage / facts["key"]).iterdir():
            file.unlink()
        (root / stage / facts["key"]).rmdir()
    again = run("pruner=random")
    assert {stage["reused"] for stage in again["stages"].values()} == {False}


@pytest.mark.slow
def test_the_lock_of_a_killed_process_is_free_and_of_a_living_one_says_whose_it_is(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "x.lock"
    program = (
        "import sys, time; sys.path.insert(0, sys.argv[1]); from pathlib import Path; "
        "from sanity.core import locks; "
        "lock = locks.held(Path(sys.argv[2]), 'x'); lock.__enter__(); "
        "print('held', flush=True); time.sleep(float(sys.argv[3]))"
    )
    command = [sys.executable, "-c", program, str(PROJECT), str(path)]
    with subprocess.Popen([*command, "60"], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert locks.is_held(path)
        holder.kill()
        holder.wait()
        assert not locks.is_held(path)
        with locks.held(path, "this"):
            pass
    with subprocess.Popen([*command, "5"], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with caplog.at_level("INFO"), locks.held(path, "this is being made"):
            pass
        assert f"this is being made by process {holder.pid} on " in caplog.text


@pytest.mark.slow
def test_a_closed_terminal_costs_nothing(tmp_path: Path) -> None:
    """Its processes are told by SIGHUP, and cannot write to it any more."""
    import pty

    place = Place(tmp_path / "place")
    arguments = (*TINY, "pruner=random", "training.epochs=400", "checkpoint_every=null")
    main, terminal = pty.openpty()
    command = [sys.executable, str(PROJECT / "run.py"), *arguments]
    process = subprocess.Popen(
        command,
        cwd=place.root,
        env=place.environment,
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
        preexec_fn=lambda: __import__("fcntl").ioctl(0, __import__("termios").TIOCSCTTY, 0),
    )
    os.close(terminal)
    while not list(place.root.rglob("metrics.jsonl")):
        os.read(main, 1000)
        assert process.poll() is None
    os.close(main)
    assert process.wait(60) == 129
    record = place.story()["run"][0]
    assert (record["status"], record["reason"]) == ("failed", "stopped by SIGHUP")
    (checkpoint,) = (place.root / "store" / ".work").rglob("checkpoints/*.json")
    assert checkpoint.stat().st_size > 0


@pytest.mark.slow
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_reader_that_has_seen_enough_stops_nothing(tmp_path: Path, stream: str) -> None:
    place = Place(tmp_path / "place")
    commands = {"run": [str(PROJECT / "run.py"), *RUN], "list": ["-m", "sanity.store", "list"]}
    for arguments in commands.values():
        read, write = os.pipe()
        os.close(read)
        command = [sys.executable, *arguments]
        done = subprocess.run(
            command,
            cwd=place.root,
            env=place.environment,
            stdout=write if stream == "stdout" else subprocess.DEVNULL,
            stderr=write if stream == "stderr" else None,
        )
        os.close(write)
        assert done.returncode == 0, arguments
    assert place.story()["run"][0]["status"] == "completed"
