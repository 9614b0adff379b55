"""Measure what a user waits for: training steps against the conventional loop, and commands.

    python tests/benchmarks/bench.py [--quick] [--json FILE]

All that is compared is measured in turns, in one process, and given as medians with the spread of
the middle half. Targets stand beside what was measured; nothing is judged.
"""

import argparse
import copy
import json
import os
import platform
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import torch
from commands import commands
from conventional import Conventional, Pictures, endless
from rich.console import Console
from rich.table import Table
from tickets import Subject
from torch import nn

from sanity.core.device import choose
from sanity.networks.layers import prunable_weights
from sanity.pruning import masks
from sanity.pruning.masks import Mask
from sanity.training import engines
from sanity.training.engines import trial
from sanity.training.images import Images

SUBJECTS = {
    "ResNet32": Subject("ResNet32", ("dataset=cifar10", "arch=resnet32", "training=cifar")),
    "VGG19_bn": Subject("VGG19_bn", ("dataset=cifar10", "arch=vgg19_bn", "training=cifar")),
    "digits": Subject("digits resnet8", ("dataset=digits", "arch=resnet8", "training=digits")),
}
TARGETS = {
    ("ResNet32", "random x uniform"): {0.99: 7, 0.98: 6, 0.95: 4.5, 0.9: 3},
    ("ResNet32", "random x smart"): {0.99: 5, 0.98: 4.2, 0.95: 2.8, 0.9: 2},
    ("ResNet32", "SNIP"): {0.99: 4, 0.98: 3.5, 0.95: 2.4, 0.9: 1.7},
    ("ResNet32", "LT"): {0.99: 4, 0.98: 3.5, 0.95: 2.4, 0.9: 1.7},
    ("VGG19_bn", "random x smart"): {0.98: 5, 0.95: 3.5, 0.9: 2.3},
    ("digits", "random x uniform"): {0.99: 4, 0.98: 3.5},
    ("digits", "random x smart"): {0.99: 4, 0.98: 3.5},
    ("digits", "SNIP"): {0.99: 4, 0.98: 3.5},
    ("digits", "LT"): {0.99: 4, 0.98: 3.5},
}
"""Times the speed of the conventional loop that we set out to reach, by sparsity."""

DENSE_TARGET = 1.15
BF16_TARGET = 1.9
ENGINES = ("dense", "fused", "dense bf16", "fused bf16", "sparse")
METHODS = ("random x uniform", "random x smart", "SNIP", "LT")
SPARSITIES = (0.99, 0.98, 0.95, 0.9)

warnings.filterwarnings("ignore", "This DataLoader will create")  # four, as it is conventional

console = Console(width=None if sys.stdout.isatty() else 120)


def main() -> int:
    """Measure, print, and write the figures."""
    options = _options()
    device = choose("auto")
    results: dict[str, Any] = {"machine": machine(device), "training": [], "commands": {}}
    console.print(", ".join(f"{key} {value}" for key, value in results["machine"].items()))
    threads = [1] if options.quick or os.cpu_count() == 1 else [1, os.cpu_count() or 1]
    for name in options.only or (["digits"] if options.quick else SUBJECTS):
        for count in threads:
            torch.set_num_threads(count)
            for row in training(name, device, options):
                results["training"].append(row | {"threads": count})
            console.print(table(results["training"], name, count))
    if not options.only:
        results["commands"] = commands(quick=options.quick, say=console.print)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")
    return 0


def training(
    name: str, device: torch.device, options: argparse.Namespace
) -> Iterable[dict[str, Any]]:
    """A row a mask: images a second of the conventional loop and of every engine."""
    subject = SUBJECTS[name]
    experiment, examples = subject.experiment(), subject.examples()
    images = Images(examples, experiment.dataset, device)
    pictures = Pictures(examples.images, examples.labels, 4)
    batches = endless(pictures, experiment.recipe.batch_size)
    sparsities = [0.98] if options.quick else options.sparsities or SPARSITIES
    methods = ["random x smart"] if options.quick else options.methods or METHODS
    cases: list[tuple[str, float]] = [("dense", 0.0)]
    cases += [(method, sparsity) for method in methods for sparsity in sparsities]
    for method, sparsity in cases:
        mask = subject.mask(method, sparsity, images) if sparsity else {}
        yield {"network": name, "method": method, "sparsity": sparsity} | _race(
            subject, mask, images, batches, options.steps
        )


def _race(
    subject: Subject, mask: Mask, images: Images, batches: Iterator[Any], steps: int
) -> dict[str, Any]:
    """Seconds of a whole step of each, in turns: batch, forward, backward, SGD, figures."""
    experiment = subject.experiment()
    recipe, batch = experiment.recipe, experiment.recipe.batch_size
    network = pruned(subject.network(images.device), mask)
    conventional = Conventional(copy.deepcopy(network), batches, images.device)
    racers: dict[str, Callable[[], Any]] = {"conventional": conventional.step}
    found: dict[str, engines.Engine] = {}
    for name in ENGINES:
        kind, in_bf16 = name.split()[0], "bf16" in name
        if (in_bf16 and mask) or (kind == "sparse" and not mask):
            continue
        wanted = replace(recipe, precision="bf16" if in_bf16 else "fp32")
        where = wanted, experiment.input_shape, images.device.type
        if kind == "dense" or not trial.why_not(kind, network, *where):
            twin = copy.deepcopy(network)
            found[name] = trial.make(kind, twin, wanted, mask, experiment.input_shape)
    for name, engine in found.items():
        engine.begin(0.01)
        racers[name] = _stepper(engine, images, batch)
    seconds: dict[str, list[float]] = {name: [] for name in racers}
    order = list(racers)
    for number in range(steps + 2):
        order.append(order.pop(0))  # the loader's workers refill while the next one is timed
        for name in order:
            step = racers[name]
            start = time.perf_counter()
            step()
            if images.device.type == "cuda":
                torch.cuda.synchronize()
            if number > 1:
                seconds[name].append(time.perf_counter() - start)
    kept = sum(masks.kept(mask).values()) if mask else None
    return {"kept": kept, "batch": batch} | {
        name: [batch / one for one in quartiles(taken)] for name, taken in seconds.items()
    }


def _stepper(engine: engines.Engine, images: Images, batch: int) -> Callable[[], None]:
    def full() -> Iterable[Any]:
        epoch = 0
        while True:
            yield from (one for one in images.epoch(0, epoch, batch) if len(one[1]) == batch)
            epoch += 1

    batches = iter(full())
    losses = torch.zeros((), device=images.device)

    def step() -> None:
        x, y = next(batches)
        loss, _ = engine.step(x, y)
        losses.add_(loss)

    return step


def pruned(network: nn.Module, mask: Mask) -> nn.Module:
    """The network with its pruned weights at 0."""
    with torch.no_grad():
        for name, weight in prunable_weights(network).items():
            if name in mask:
                weight.mul_(mask[name].to(weight.device))
    return network


def quartiles(values: list[float]) -> tuple[float, float, float]:
    """Median, and the bounds of the middle half."""
    if len(values) < 2:
        return values[0], values[0], values[0]
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return middle, low, high


def table(rows: list[dict[str, Any]], network: str, threads: int) -> Table:
    """Images a second by mask and engine, and how many times the conventional loop's that is."""
    found = Table(title=f"{network}, {threads} thread{'s' if threads > 1 else ''}")
    for column in ("mask", "kept", "engine", "images a second", "times", "target"):
        found.add_column(column, justify="left" if column in ("mask", "engine") else "right")
    for row in rows:
        if (row["network"], row["threads"]) != (network, threads):
            continue
        label = "dense" if not row["sparsity"] else f"{row['method']} {row['sparsity']:.0%}"
        kept = f"{row['kept']:,}" if row["kept"] else ""
        for engine in ("conventional", *(one for one in ENGINES if one in row)):
            target = _target(row, engine)
            times = row[engine][0] / row["conventional"][0]
            cells = (engine, _spread(row[engine]), f"{times:.2f}", f"{target:g}" if target else "")
            found.add_row(label, kept, *cells)
            label = kept = ""
        found.add_section()
    return found


def _target(row: dict[str, Any], engine: str) -> float | None:
    """How many times the conventional loop's speed an engine is to reach, where there is a say."""
    if engine == "sparse":
        return TARGETS.get((row["network"], row["method"]), {}).get(row["sparsity"])
    dense = {"fused": DENSE_TARGET, "fused bf16": BF16_TARGET}
    return None if row["sparsity"] else dense.get(engine)


def _spread(values: list[float]) -> str:
    middle, high, low = values
    return f"{middle:.0f} ({low:.0f}-{high:.0f})"


def machine(device: torch.device) -> dict[str, str]:
    """What figures were measured on."""
    found = {"processor": _processor(), "cores": str(os.cpu_count()), "device": device.type}
    if device.type == "cuda":
        found["device"] = torch.cuda.get_device_name()
    found["vectors"] = torch.backends.cpu.get_cpu_capability()
    found |= {"python": platform.python_version(), "torch": torch.__version__}
    try:
        import numba

        found["numba"] = numba.__version__
    except ImportError:
        found["numba"] = "none"
    return found


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a minute: does all of it work?")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    parser.add_argument("--only", nargs="+", choices=SUBJECTS, help="only these networks")
    parser.add_argument("--methods", nargs="+", choices=METHODS)
    parser.add_argument("--sparsities", nargs="+", type=float, choices=SPARSITIES)
    parser.add_argument("--steps", type=int, default=10, help="of each, after two to warm up")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
