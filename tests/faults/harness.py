"""Kill runs and sweeps, hundreds of times, and count what is lost.

    python tests/faults/harness.py --trials 100

Prints a row a kind of command. The exit code is 1 where anything was lost, changed, or needed
hands.
"""

import argparse
import contextlib
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from processes import Process
from rich.console import Console
from rich.table import Table
from slurm.cluster import missing, started
from trial import At, Disturbance, Kill, Outcome, Place, Reference, attempt, look, processes_of

TINY = (
    *("arch.widths=[4,8,8]", "training=smoke", "dataset.limit=160", "device=cpu", "threads=1"),
    *("ratio.sparsity=0.8", "dataset.crop_padding=1", "dataset.flip=true"),
)
RUN = (*TINY, "hydra.run.dir=run")
CLUSTER = (
    *("hydra/launcher=slurm", "hydra.launcher.gpus_per_node=null"),
    *("hydra.launcher.cpus_per_task=1", "hydra.launcher.mem_gb=1"),
)
LOCAL = ("hydra/launcher=local", "hydra.launcher.n_jobs=2")
SWEEP = (*TINY, "hydra.sweep.dir=sweep", "-m")

COMMANDS = {
    "run, a checkpoint a step": (*RUN, "pruner=lt", "rewind=epoch", "rewind.epoch=1"),
    "run, imp of two rounds": (*RUN, "pruner=imp", "pruner.rounds=2"),
    "run, hybrid, corrupted data": (*RUN, "pruner=hybrid", "sanity_check=corrupted_data"),
    "sweep, one process": (*SWEEP, "pruner=lt,random", "seed=0,1", "hydra/launcher=basic"),
    "sweep, SLURM": (*SWEEP, "pruner=lt,random", "seed=0,1", *CLUSTER),
    "sweep, two workers": (
        *SWEEP,
        "pruner=lt,random",
        "seed=0,1",
        "hydra/launcher=local",
        "hydra.launcher.n_jobs=2",
    ),
}
CHECKPOINTS = ("checkpoint_every=0",)
WORKERS, SLURM = "sweep, two workers", "sweep, SLURM"
PARALLEL = (WORKERS, SLURM)  # whose own processes nobody hears changes of the disk from
KINDS = ("kills", "errors of the disk")
SHOWN = 2000  # characters of an outcome
BAD = ("lost", "changed", "hands")


def after(seconds: float, whom: str) -> Kill:
    """Kill a process, one of its children, or both, so many seconds after its start."""

    def kill(process: Process) -> int:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.002)
        family = [process.pid, *children(process.pid)]
        chosen = {"parent": family[:1], "child": family[-1:], "all": family}[whom]
        return sum(_kill(pid) for pid in chosen if process.poll() is None or pid != process.pid)

    return kill


def a_job_after(seconds: float, root: Path) -> Kill:
    """Kill a process that SLURM has started for the trial in ``root``."""

    def kill(process: Process) -> int:
        deadline = time.monotonic() + seconds
        while process.poll() is None:
            time.sleep(0.01)
            if time.monotonic() > deadline and (found := jobs_of(root)):
                return _kill(found[0])
        return 0

    return kill


def jobs_of(root: Path) -> list[int]:
    """The processes of the trial's jobs: submitit's, each of which runs one."""
    found = []
    for pid in processes_of(root):
        with contextlib.suppress(OSError):
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
            if b"submitit.core._submit" in command and b"srun" not in command:
                found.append(pid)
    return found


def children(pid: int) -> list[int]:
    """All living descendants, parents first."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if parent == pid:
            found += [int(path.parent.name), *children(int(path.parent.name))]
    return found


def _kill(pid: int) -> bool:
    with contextlib.suppress(ProcessLookupError):  # it has ended by itself
        os.kill(pid, signal.SIGKILL)
        return True
    return False


def kills_of(
    name: str, reference: Reference, count: int, chance: random.Random, root: Path
) -> Iterator[list[Disturbance]]:
    """The kills of each trial: half of them at changes of the disk, half at any time."""
    for number in range(count):
        kills: list[Disturbance] = []
        for _ in range(chance.choice([1, 1, 2, 3])):
            if name == SLURM and chance.random() < 0.6:
                kills.append(a_job_after(chance.uniform(0, reference.seconds), root / str(number)))
            elif name == WORKERS:
                whom = chance.choice(["parent", "parent", "child", "all"])
                kills.append(after(chance.uniform(0.2, reference.seconds), whom))
            elif number % 2:
                kills.append(after(chance.uniform(0.05, reference.seconds), "parent"))
            else:
                kills.append(At(chance.randrange(1, reference.changes + 1)))
        yield kills


def errors_of(reference: Reference, count: int, chance: random.Random) -> Iterator[list[At]]:
    """The disk begins to answer with errors before some change, in each trial once."""
    for _ in range(count):
        error = chance.choice(["EIO", "ENOSPC", "EROFS", "EDQUOT"])
        yield [At(chance.randrange(1, reference.changes + 1), error)]


def run(name: str, kind: str, count: int, seed: int, root: Path) -> tuple[Reference, list[Outcome]]:
    """The trials of one command with one kind of disturbance."""
    arguments = (*COMMANDS[name], *CHECKPOINTS)
    reference = look(Place(root / "undisturbed"), arguments)
    chance, outcomes = random.Random(f"{name} {kind} {seed}"), []
    plans: Iterable[Sequence[Disturbance]] = (
        kills_of(name, reference, count, chance, root)
        if kind == "kills"
        else errors_of(reference, count, chance)
    )
    for number, disturbances in enumerate(plans):
        place = Place(root / str(number))
        outcome = attempt(place, reference, disturbances)
        outcomes.append(outcome)
        if outcome.fine:
            shutil.rmtree(place.root)
        else:
            text = f"{name}, {kind}, in {place.root}: {outcome}"
            print(text[:SHOWN], file=sys.stderr, flush=True)
    return reference, outcomes


@contextlib.contextmanager
def cluster() -> Iterator[None]:
    """A SLURM of this machine that every command reaches."""
    with started(requeue_delay=5) as found:
        os.environ.update(found.environment())
        yield


def main() -> int:
    """Try all commands, and show what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--trials", type=int, default=20, help="of each command")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", help="commands whose name holds this")
    parser.add_argument("--kind", choices=KINDS, help="what happens to them")
    options = parser.parse_args()
    names = ("command", "what", "changes", "trials", "met", "lost", "changed", "hands needed")
    table, fine = Table(*names), True
    for kind in KINDS:
        for name in [one for one in COMMANDS if not options.only or options.only in one]:
            if options.kind not in (None, kind) or (name in PARALLEL and kind != "kills"):
                continue
            if name == SLURM and (reason := missing()):
                print(f"{name}: left out ({reason})", file=sys.stderr)
                continue
            root = Path(tempfile.mkdtemp(prefix="faults-"))
            with cluster() if name == SLURM else contextlib.nullcontext():
                reference, outcomes = run(name, kind, options.trials, options.seed, root)
            sums = [sum(outcome.disturbed for outcome in outcomes)]
            sums += [sum(len(getattr(one, what)) for one in outcomes) for what in BAD]
            table.add_row(name, kind, *map(str, (reference.changes, len(outcomes), *sums)))
            fine = fine and all(outcome.fine for outcome in outcomes)
            if fine:
                shutil.rmtree(root)
    Console(width=120).print(table)
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
