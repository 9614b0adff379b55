"""A container's or a user's share of a machine is told by its cgroup, not by its cores."""

import math
import os
from pathlib import Path

import pytest
import torch
from conftest import Run

from sanity import pipeline
from sanity.core import cores


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"cpu.max": "200000 100000"}, 2.0),
        ({"user.slice/one.scope/cpu.max": "150000 100000"}, 1.5),
        ({"user.slice/cpu.max": "50000 100000", "user.slice/one.scope/cpu.max": "max 100000"}, 0.5),
        ({"user.slice/cpu.max": "max 100000"}, math.inf),
        ({"user.slice/cpu.max": "nonsense"}, math.inf),
        ({}, math.inf),
    ],
)
def test_the_least_quota_on_the_way_up_holds(
    tmp_path: Path, files: dict[str, str], expected: float
) -> None:
    write(tmp_path / "own", "0::/user.slice/one.scope\n")
    for name, text in files.items():
        write(tmp_path / "mount" / name, text)
    assert cores.quota(tmp_path / "own", tmp_path / "mount") == expected


@pytest.mark.parametrize("folder", ["cpu,cpuacct", "cpu"])
@pytest.mark.parametrize("group", ["docker/1f", "."])
def test_version_1_and_containers_that_see_the_host_s_names(
    tmp_path: Path, folder: str, group: str
) -> None:
    write(tmp_path / "own", "5:cpu,cpuacct:/docker/1f\n4:memory:/docker/1f\n")
    place = tmp_path / "mount" / folder / group
    write(place / "cpu.cfs_quota_us", "300000\n")
    write(place / "cpu.cfs_period_us", "100000\n")
    assert cores.quota(tmp_path / "own", tmp_path / "mount") == 3.0
    write(place / "cpu.cfs_quota_us", "-1\n")
    assert cores.quota(tmp_path / "own", tmp_path / "mount") == math.inf


def test_a_quota_below_one_core_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for granted in (0.3, 1.0, 1.9):
        monkeypatch.setattr(cores, "quota", lambda granted=granted: granted)
        assert cores.cores() == 1
    monkeypatch.setattr(cores, "quota", lambda: math.inf)
    assert cores.cores() == len(os.sched_getaffinity(0))


def test_a_single_run_has_no_more_threads_than_cores(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "cores", lambda: 1)
    torch.set_num_threads(2)
    run("pruner=random", "until=prune")
    assert torch.get_num_threads() == 1
