"""How much memory is left: of the machine, of the cgroups that this process is in, of a GPU."""

import math
from pathlib import Path

import torch

from sanity.core.cores import MOUNT, OWN, groups

MACHINE = Path("/proc/meminfo")


def available(device: torch.device) -> float:
    """The bytes that this process can still have on ``device``; infinity where nothing tells."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return float(free + unused)
    return min(_of_machine(), of_cgroups()) if device.type == "cpu" else math.inf


def _of_machine() -> float:
    """What Linux can give without swapping."""
    return 1024 * _entry(MACHINE, "MemAvailable:")


def of_cgroups(own: Path = OWN, mount: Path = MOUNT) -> float:
    """What cgroups (version 1 or 2) have left, the least on the way up; infinity if all."""
    left = math.inf
    for second, group in groups("memory", own, mount):
        limit = group / ("memory.max" if second else "memory.limit_in_bytes")
        used = group / ("memory.current" if second else "memory.usage_in_bytes")
        # Cached files count as used, and are given up where memory is wanted.
        cached = _entry(group / "memory.stat", "inactive_file" if second else "total_inactive_file")
        taken = _entry(used) - (cached if cached < math.inf else 0.0)
        if taken < math.inf:
            left = min(left, max(0.0, _entry(limit) - taken))
    return left


def _entry(place: Path, name: str | None = None) -> float:
    """The number in a file, or behind ``name`` on one of its lines; infinity if there is none."""
    try:
        text = place.read_text(encoding="utf-8")
        lines = (line.split() for line in text.splitlines())
        return float(text if name is None else next(line[1] for line in lines if line[0] == name))
    except (OSError, ValueError, IndexError, StopIteration):  # nothing is said there, or "max"
        return math.inf
