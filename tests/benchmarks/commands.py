"""What commands cost beside training: seconds by the clock, CPU seconds, and memory."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

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
    start = time.perf_counter()
    command = [sys.executable, str(ROOT / "run.py"), *arguments]
    with (directory / "output.log").open("w") as output:
        process = subprocess.Popen(
            command, cwd=directory, env=environment, stdout=output, stderr=output
        )
        _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit((directory / "output.log").read_text())
    seconds = time.perf_counter() - start
    return {
        "seconds": seconds,
        "cpu": used.ru_utime + used.ru_stime,
        "peak_mb": used.ru_maxrss / 1024,
    }
