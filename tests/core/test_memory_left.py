"""What memory is left is told by the machine and by the cgroup, whichever has less."""

import math
from pathlib import Path

import pytest
import torch

from sanity.core import memory

STAT = "anon 5\ninactive_anon 7\ninactive_file 300\nactive_file 9\n"


def write(mount: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = mount / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"one/memory.max": "1000\n", "one/memory.current": "900\n"}, 100.0),
        ({"one/memory.max": "1000", "one/memory.current": "900", "one/memory.stat": STAT}, 400.0),
        ({"one/memory.max": "max", "one/memory.current": "900"}, math.inf),
        (
            {
                "memory.max": "1000",
                "memory.current": "950",
                "one/memory.max": "500",
                "one/memory.current": "10",
            },
            50.0,
        ),
        ({"one/memory.max": "1000"}, math.inf),
        ({"one/memory.max": "100", "one/memory.current": "900"}, 0.0),
        ({}, math.inf),
    ],
)
def test_the_least_that_is_left_on_the_way_up(
    tmp_path: Path, files: dict[str, str], expected: float
) -> None:
    (tmp_path / "own").write_text("0::/one\n")
    write(tmp_path / "mount", files)
    assert memory.of_cgroups(tmp_path / "own", tmp_path / "mount") == expected


def test_version_1(tmp_path: Path) -> None:
    (tmp_path / "own").write_text("5:cpu,cpuacct:/x\n4:memory:/one\n")
    files = {"limit_in_bytes": "1000", "usage_in_bytes": "900", "stat": "total_inactive_file 50\n"}
    write(tmp_path / "mount" / "memory" / "one", {f"memory.{n}": t for n, t in files.items()})
    assert memory.of_cgroups(tmp_path / "own", tmp_path / "mount") == 150.0


@pytest.mark.parametrize(("group", "expected"), [(100.0, 100.0), (math.inf, 2048.0)])
def test_the_machine_counts_as_well(
    group: float, expected: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemFree:  1 kB\nMemAvailable:  2 kB\n")
    monkeypatch.setattr(memory, "MACHINE", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "of_cgroups", lambda: group)
    assert memory.available(torch.device("cpu")) == expected
