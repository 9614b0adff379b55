"""Do two engines end at the same accuracy? Tickets by seed, judged by the project's own test.

    python tests/benchmarks/equivalence.py [--seeds N] [--margin POINTS] [OVERRIDE ...]

Both train the same tickets: dense networks and masks are the first one's.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from sanity.stats.criteria import Criteria
from sanity.stats.paired import compare

ROOT = Path(__file__).resolve().parents[2]
TICKET = ("pruner=snip", "ratio.sparsity=0.98")


def main() -> int:
    """Train, compare, print; 1 where equivalence is not shown."""
    options = _options()
    found: dict[str, dict[int, float]] = {}
    with tempfile.TemporaryDirectory() as place:
        directory = Path(place)
        for engine in options.engines:
            if found:
                shutil.rmtree(directory / "store" / "train_ticket")
            found[engine] = _trained(directory, engine, options)
            print(engine, " ".join(f"{one:.2f}" for one in found[engine].values()), flush=True)
    first, second = (found[engine] for engine in options.engines)
    result = compare(first, second, Criteria(margin=options.margin))
    names = " against ".join(reversed(options.engines))
    print(
        f"{names} {result.mean:+.3f} points (std {result.std:.3f}, {result.seeds} seeds), "
        f"p of a difference of {options.margin:g}: {result.p_equivalent:.2g}, "
        f"of none: {result.p_different:.2g}"
    )
    return int(result.p_equivalent is None or result.p_equivalent > Criteria().alpha)


def _trained(directory: Path, engine: str, options: argparse.Namespace) -> dict[int, float]:
    """The tickets' test accuracies by seed."""
    sweep = directory / engine
    seeds = ",".join(map(str, range(options.seeds)))
    arguments = [*(options.overrides or TICKET), f"training.engine={engine}", "tracker=none"]
    arguments += [f"seed={seeds}", f"hydra.sweep.dir={sweep}", "hydra/launcher=local"]
    environment = {**os.environ, "SANITY_STORE_DIR": str(directory / "store")}
    command = [sys.executable, str(ROOT / "run.py"), "-m", *arguments]
    with (directory / "output.log").open("w") as log:
        done = subprocess.run(command, env=environment, stdout=log, stderr=log, check=False)
    if done.returncode:
        raise SystemExit((directory / "output.log").read_text())
    records = [json.loads(path.read_text()) for path in sweep.glob("*/record.json")]
    for record in records:
        assert record["stages"]["train_ticket"]["computed_by"]["engine"] == engine
    return {
        one["config"]["seed"]: one["metrics"]["test_accuracy"]
        for one in sorted(records, key=lambda one: one["config"]["seed"])
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--margin", type=float, default=0.5, help="points")
    parser.add_argument("--engines", nargs=2, default=("dense", "sparse"))
    parser.add_argument("overrides", nargs="*", help="of a run (digits, SNIP at 98%%)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
