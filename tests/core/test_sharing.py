"""One store for a group: what one user leaves, a colleague reuses, goes on with and cleans."""

import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from filelock import Timeout

from sanity.core import locks, sharing
from sanity.core.files import write_json
from sanity.record.record import exclusive
from sanity.store import Store, Work, maintenance, notes, save_tensors
from sanity.store.notes import Note
from sanity.store.users import UNKNOWN, users

ALICE, BOB, GROUP = 54321, 54322, 54320  # users without a name: the system need not know them
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become two users")
SETTINGS = {"seed": 0}


@pytest.fixture(params=[0o022, 0o077], ids=["umask 022", "umask 077"])
def strict(request: pytest.FixtureRequest) -> Iterator[None]:
    """A umask under which the group may change nothing."""
    before = os.umask(request.param)
    yield
    os.umask(before)


def compute(work: Work) -> dict[str, Any]:
    save_tensors(work.directory, "weights", {"w": torch.arange(4.0)})
    return {}


def broken_off(work: Work) -> dict[str, Any]:
    """A computation that leaves a checkpoint."""
    sharing.make_directory(work.checkpoints)
    write_json(work.checkpoints / "00000001.json", {})
    save_tensors(work.directory, "weights", {"w": torch.arange(4.0)})
    raise KeyboardInterrupt


def fill(root: Path) -> None:
    """What runs leave in a store: an entry, notes, locks, and what one was interrupted in."""
    store = Store(root)
    store.open()
    Note(root, root.parent / "run").add("prune", "0" * 20)
    store.fetch("prune", SETTINGS, compute)
    with pytest.raises(KeyboardInterrupt):
        store.fetch("rewind", SETTINGS, broken_off)


def closed_to_group(root: Path) -> list[str]:
    """What the group may not change as its user may, or does not hand on."""
    modes = {path: path.stat().st_mode for path in [root, *root.rglob("*")]}
    return [
        f"{stat.filemode(mode)} {path.relative_to(root)}"
        for path, mode in modes.items()
        if (mode & stat.S_IRWXU) >> 3 != mode & stat.S_IRWXG
        or (path.is_dir() and not mode & stat.S_ISGID)
    ]


@pytest.mark.usefixtures("strict")
def test_all_that_is_left_in_a_directory_of_the_group_is_the_groups(tmp_path: Path) -> None:
    root = tmp_path / "store"
    root.mkdir()
    root.chmod(0o2770)
    fill(root)
    assert sorted(path.name for path in root.iterdir()) == [
        *(".locks", ".runs", ".work", "prune", "rewind"),
    ]
    assert closed_to_group(root) == []


@pytest.mark.parametrize("mode", [0o755, 0o775, 0o2755])
def test_elsewhere_the_umask_decides(tmp_path: Path, mode: int) -> None:
    """Group-writable alone is what many systems make of every directory."""
    before = os.umask(0o022)
    try:
        root = tmp_path / "store"
        root.mkdir()
        root.chmod(mode)
        fill(root)
    finally:
        os.umask(before)
    found = {path: stat.S_IMODE(path.stat().st_mode) & 0o777 for path in root.rglob("*")}
    assert set(found.values()) == {0o755, 0o644}
    assert all((found[path] == 0o755) == path.is_dir() for path in found)


@pytest.mark.usefixtures("strict")
def test_a_runs_directory_is_the_groups_where_hydra_has_made_it(tmp_path: Path) -> None:
    sweep = tmp_path / "sweep"
    sweep.mkdir()
    sweep.chmod(0o2770)
    run = sweep / "0_digits"
    (run / ".hydra").mkdir(parents=True)
    for name in ("run.log", "output.log", ".hydra/config.yaml"):
        (run / name).touch()
    with exclusive(run), sharing.append(run / "metrics.jsonl"):
        pass
    assert closed_to_group(sweep) == []
    run.chmod(0o700)  # its user's own decision, later
    with exclusive(run):
        assert stat.S_IMODE(run.stat().st_mode) & 0o777 == 0o700


def test_directories_above_that_were_there_before_stay_as_they_are(tmp_path: Path) -> None:
    lab = tmp_path / "lab"
    (lab / "alice").mkdir(parents=True)
    lab.chmod(0o2775)
    (lab / "alice").chmod(0o2755)  # shown to the group, and closed to it
    sharing.make_directory(lab / "alice" / "store" / "prune")
    assert stat.S_IMODE((lab / "alice").stat().st_mode) == 0o2755
    assert not (lab / "alice" / "store").stat().st_mode & stat.S_IWGRP


@pytest.mark.parametrize(
    ("mode", "umask", "says"),
    [
        (0o755, 0o022, None),  # a user's own
        (0o775, 0o002, None),  # the same, of a system that gives each user a group
        (0o700, 0o077, None),
        (0o2775, 0o022, None),  # shared, and it works
        (0o775, 0o022, "is group-writable, but"),
        (0o2755, 0o022, "is setgid, but"),
    ],
)
def test_who_seems_to_mean_to_share_is_told_how_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, mode: int, umask: int, says: str | None
) -> None:
    caplog.set_level("INFO")
    root = tmp_path / "a store"
    before = os.umask(umask)
    try:
        root.mkdir()
        root.chmod(mode)
        for _ in range(2):
            Store(root).open()
    finally:
        os.umask(before)
    hints = [text for text in caplog.messages if text.startswith("hint: ")]
    assert len(hints) == (says is not None)
    if says is not None:
        assert f"{root} {says}" in hints[0]
        assert os.system(hints[0].split("to share it: ")[1]) == 0
        assert closed_to_group(root) == []
        notes.hint_at_sharing.cache_clear()
        assert sharing.hint(root) is None


@pytest.fixture
def shared() -> Iterator[Path]:
    """A store of two users, where both may go."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        root = Path(directory) / "store"
        root.mkdir()
        os.chown(root, ALICE, GROUP)
        root.chmod(0o2775)
        yield root


def as_user(uid: int, do: Callable[[], object]) -> None:
    """Do something in a process of this user, who is in the group; its failure is the test's."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.umask(0o022)
            os.setgroups([GROUP])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            do()
            code = 0
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@AS_ROOT
def test_a_colleague_reuses_goes_on_with_and_cleans_what_one_has_left(shared: Path) -> None:
    store = Store(shared)

    def reuse() -> None:
        store.open()
        assert store.fetch("prune", SETTINGS, compute).reused

    def go_on() -> None:
        def resumed(work: Work) -> dict[str, Any]:
            assert (work.checkpoints / "00000001.json").read_text()
            write_json(work.checkpoints / "00000001.json", {"taken": "over"})
            return compute(work)

        assert not store.fetch("rewind", SETTINGS, resumed).reused
        assert not any((shared / ".work").iterdir())

    def clean() -> None:
        items = maintenance.inventory(store)
        removed, failed = maintenance.remove(store, items, lambda: users(shared).without({UNKNOWN}))
        assert (len(removed), failed) == (2, [])
        assert not (shared / ".trash").exists()

    as_user(ALICE, lambda: fill(shared))
    for do in (reuse, go_on, clean):
        as_user(BOB, do)
    assert list(shared.glob("[a-z]*/*")) == []


@AS_ROOT
def test_what_only_its_user_can_remove_is_told_with_the_users_name(
    shared: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As earlier versions left it, whatever the directory said."""
    store = Store(shared)

    def leave() -> None:
        fill(shared)
        private = store.work_of("prune", "1" * 20) / "result-0"
        sharing.make_directory(private)
        (private / "weights.safetensors").touch()
        private.chmod(0o700)

    def clean() -> None:
        items = [item for item in maintenance.inventory(store) if item.key == "1" * 20]
        removed, failed = maintenance.remove(store, items, lambda: users(shared))
        assert removed == []
        assert [item.key for item, _ in failed] == ["1" * 20]
        assert f"result-0 belongs to user {ALICE}" in failed[0][1]

    as_user(ALICE, leave)
    as_user(BOB, clean)


@AS_ROOT
def test_a_store_of_another_user_says_whose_it_is(shared: Path) -> None:
    def fails() -> None:
        with (
            pytest.raises(PermissionError) as failure,
            locks.held(shared / ".locks" / "a.lock", "it"),
        ):
            pass
        assert f"a.lock belongs to user {ALICE}" in locks.why_not(failure.value)

    def close() -> None:
        fill(shared)
        (shared / ".locks" / "a.lock").touch()
        (shared / ".locks" / "a.lock").chmod(0o644)

    as_user(ALICE, close)
    as_user(BOB, fails)
    shared.chmod(0o755)
    advice = sharing.hint(shared)  # as root, who may write there all the same
    assert advice is not None
    assert f"belongs to user {ALICE}, but" in advice


@AS_ROOT
def test_a_lock_that_one_user_has_made_keeps_out_and_lets_in_the_other(shared: Path) -> None:
    def take() -> None:
        with pytest.raises(Timeout), locks.lock_at(shared / "a.lock").acquire(timeout=0):
            pass

    def make() -> None:
        with locks.lock_at(shared / "a.lock").acquire(timeout=0):
            pass

    as_user(ALICE, make)
    as_user(BOB, make)
    with locks.lock_at(shared / "a.lock").acquire(timeout=0):
        as_user(BOB, take)
