"""How many cores this process may use: of the machine, its affinity, and its cgroup's quota."""

import math
import os
from pathlib import Path

MOUNT = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")


def cores() -> int:
    """The cores that this process may use, at least one; a quota of 1.5 cores counts as one."""
    bound = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    return max(1, math.floor(min(bound, quota())))


def quota(own: Path = OWN, mount: Path = MOUNT) -> float:
    """The cores that cgroups (version 1 or 2) grant, the least on the way up; infinity if all."""
    granted = [math.inf]
    for second, group in groups("cpu", own, mount):
        files = ("cpu.max",) if second else ("cpu.cfs_quota_us", "cpu.cfs_period_us")
        granted.append(_share(*(group / file for file in files)))
    return min(granted)


def groups(controller: str, own: Path = OWN, mount: Path = MOUNT) -> list[tuple[bool, Path]]:
    """The cgroups that bound this process, and whether each is one of version 2.

    ``own`` says in which groups this process is. In a container these may be named as the host
    sees them: then what is mounted is the container's own.
    """
    found: list[tuple[bool, Path]] = []
    try:
        lines = own.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):  # no Linux
        return found
    for line in lines:
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers:
            found += [(True, group) for group in _upwards(mount, path)]
        elif controller in controllers.split(","):
            for name in (controllers, controller):
                found += [(False, group) for group in _upwards(mount / name, path)]
    return found


def _upwards(mount: Path, path: str) -> list[Path]:
    """A group's directory and those around it, up to what is mounted."""
    parts = [part for part in path.split("/") if part not in ("", "..")]
    group = mount.joinpath(*parts)
    return [group, *group.parents][: len(parts) + 1]


def _share(*files: Path) -> float:
    """What the files say: a quota and its period in microseconds; ``max`` or -1 for all."""
    try:
        words = [word for file in files for word in file.read_text(encoding="utf-8").split()]
        granted, period = float(words[0].replace("max", "-1")), float(words[1])
    except (OSError, ValueError, IndexError):  # nothing is said there
        return math.inf
    return granted / period if granted > 0 and period > 0 else math.inf
