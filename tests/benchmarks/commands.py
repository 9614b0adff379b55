"""What commands cost beside training: seconds by the clock, CPU seconds, and memory."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

WATCH = """
import json, os, subprocess, sys
_, status, used = os.wait4(subprocess.Popen(sys.argv[2:]).pid, 0)
found = {"status": status, "cpu": used.ru_utime + used.ru_stime, "peak_mb": used.ru_maxrss / 1024}
open(sys.argv[1], "w").write(json.dumps(found))
"""
"""In a process of its own: a child's peak is never less than what its parent has in memory."""

ROOT = Path(__file__).resolve().parents[2]
RUN = ("pruner=snip", "ratio.sparsity=0.98", "training.epochs=1", "dataset.limit=640", "threads=1")


def commands(*, quick: bool, say: Callable[[str], None]) -> dict[str, dict[str, float]]:
    """Start-up, a run, the same reused, a plan, and (but for ``quick``) whole quickstarts."""
    found: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as place:
        directory = Path(place)

        def measure(name: str, *arguments: str, store: str = "store") -> None:
            found[name] = _measured(directory, store, arguments)
            figures = ", ".join(f"{key} {value:.2f}" for key, value in found[name].items())
            say(f"{name:28s} {figures}")

        measure("start-up (--help)", "--help")
        measure("a run that packs", *RUN)
        measure("a run that prunes", *RUN, "seed=1")
        measure("the same, reused", *RUN, "seed=1")
        measure("plan of 105 jobs", "sweep=quickstart", "sweep.plan=true")
        if not quick:
            for launcher in ("basic", "local"):
                arguments = ("sweep=quickstart", f"hydra/launcher={launcher}")
                measure(f"quickstart, {launcher}", *arguments, store=launcher)
    return found


def _measured(directory: Path, store: str, arguments: tuple[str, ...]) -> dict[str, float]:
    """Of ``python run.py <arguments>``: seconds, CPU seconds of all its processes, peak MB."""
    environment = {
        **os.environ,
        "SANITY_STORE_DIR": str(directory / store),
        "SANITY_DATA_DIR": str(directory / "data"),
    }
    start, report = time.perf_counter(), directory / "used.json"
    command = [sys.executable, "-c", WATCH, str(report), sys.executable, str(ROOT / "run.py")]
    with (directory / "output.log").open("w") as output:
        subprocess.run(
            [*command, *arguments], cwd=directory, env=environment, stdout=output, stderr=output,
            check=True,
        )  # fmt: skip
    used = json.loads(report.read_text())
    if used.pop("status"):
        raise SystemExit((directory / "output.log").read_text())
    seconds = time.perf_counter() - start
    return {"seconds": seconds, **used}
