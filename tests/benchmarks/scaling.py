"""How the cost of a sparse step grows with density, width, batch and threads, and where dense wins.

    python tests/benchmarks/scaling.py [--steps N] [--json FILE]

Measures ResNet32 under random masks with uniform ratios, fits a model of three terms, says how far
it is off, and computes by it what more threads than this machine's would do.
"""

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, astuple, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import numpy as np
import torch
from bench import console, machine, pruned
from rich.table import Table
from scipy.optimize import nnls
from tickets import Subject

from sanity.training.engines import trial
from sanity.training.engines.compiled import cpu
from sanity.training.engines.program import Combination, program
from sanity.training.images import Images

WIDTHS = (16, 32)
BATCHES = (16, 64, 128)
DENSITIES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.4)
THREADS = (1, 2, 4, 8, 16, 32)
BATCH = 64
"""Of what is computed for more threads than there are."""


@dataclass(frozen=True)
class Point:
    """A step: its ``density`` (1 for dense), its work, and what it took.

    ``products`` of kept weights and pixels, and ``values`` that norms write, are an image's.
    """

    width: int
    batch: int
    threads: int
    density: float
    products: float
    values: float
    seconds: float


@dataclass(frozen=True)
class Model:
    """Seconds of a product, and of a value, for a block's lanes.

    Threads, of which no more are at work than there are blocks of images, share products by blocks
    and values by channels, but for what a value takes of the memory, of which all have one
    (``memory``, seconds).
    """

    product: float
    value: float
    memory: float

    def seconds(self, point: Point, threads: int | None = None) -> float:
        """Of a step by so many threads, those of the point if None."""
        return float(np.dot(_work(point, threads or point.threads), astuple(self)))


def _work(point: Point, threads: int) -> tuple[float, float, float]:
    """By how much each term of the model counts."""
    blocks = -(-point.batch // cpu().lanes)
    values, threads = point.values * blocks, min(threads, blocks)
    return point.products * -(-blocks // threads), values / threads, values


def fit(points: list[Point]) -> Model:
    """By least squares of relative errors; no term is below 0."""
    rows = [[one / point.seconds for one in _work(point, point.threads)] for point in points]
    found, _ = nnls(np.array(rows), np.ones(len(rows)))
    return Model(*(float(one) for one in found))


def crossing(model: Model, point: Point, dense: float, threads: int | None = None) -> float:
    """The density up to which a sparse step takes less time than the ``dense`` one's seconds."""

    def taken(density: float) -> float:
        work = point.products / point.density * density
        return model.seconds(Point(**asdict(point) | {"products": work}), threads)

    low, high = 0.0, 1.0
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (middle, high) if taken(middle) < dense else (low, middle)
    return low


def measure(width: int, batch: int, threads: int, steps: int) -> Iterator[Point]:
    """A dense point, by the faster one of the dense engines, and one for each density."""
    torch.set_num_threads(threads)
    widths = f"arch.widths=[{width},{2 * width},{4 * width}]"
    size = f"training.batch_size={batch}"
    subject = Subject("", ("dataset=cifar10", "arch=resnet32", "training=cifar", widths, size))
    experiment = subject.experiment()
    images = Images(subject.examples(), experiment.dataset, torch.device("cpu"))
    x, y = next(iter(images.epoch(0, 0, batch)))
    known = program(subject.network(torch.device("cpu")), experiment.input_shape)
    values = sum(
        one.z.channels * one.z.height * one.z.width
        for one in known.operations
        if isinstance(one, Combination)
    )
    for density in (1.0, *DENSITIES):
        mask = subject.mask("random x uniform", 1 - density, images) if density < 1 else {}
        network = pruned(subject.network(torch.device("cpu")), mask)
        products = trial.products(network, experiment.input_shape, mask)
        taken = []
        for name in ("sparse",) if mask else ("dense", "fused"):
            engine = trial.make(name, network, experiment.recipe, mask, experiment.input_shape)
            engine.begin(0.01)
            seconds = []
            for number in range(steps + 2):
                start = time.perf_counter()
                engine.step(x, y)
                if number > 1:
                    seconds.append(time.perf_counter() - start)
            taken.append(statistics.median(seconds))
        yield Point(width, batch, threads, density, products, values, min(taken))


def main() -> int:
    """Measure, fit, print, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=5, help="of each, after two to warm up")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    options = parser.parse_args()
    points = [
        point
        for threads in sorted({1, os.cpu_count() or 1})
        for width in WIDTHS
        for batch in BATCHES
        for point in measure(width, batch, threads, options.steps)
    ]
    # Of small batches more lies in caches than of those that people train with.
    fitted = [one for one in points if one.density < 1 and one.batch >= BATCH]
    model = fit(fitted)
    console.print(_measured(points, model))
    for threads in sorted({one.threads for one in points}):
        off = [
            abs(model.seconds(one) / one.seconds - 1) for one in fitted if one.threads == threads
        ]
        console.print(
            f"model against measured, batch {BATCH} and more, threads {threads}: "
            f"{statistics.median(off):.0%} off, at most {max(off):.0%}"
        )
    console.print(_computed(points, model))
    if options.json:
        figures = {"machine": machine(torch.device("cpu")), "lanes": cpu().lanes}
        figures |= {"model": asdict(model), "points": [asdict(one) for one in points]}
        options.json.write_text(json.dumps(figures, indent=1) + "\n")
    return 0


def _measured(points: list[Point], model: Model) -> Table:
    """Times the faster dense engine's speed, and the density where that ends."""
    found = Table(title="Times as fast as dense")
    for column in ("width", "batch", "threads", *(f"{one:.0%} kept" for one in DENSITIES)):
        found.add_column(column, justify="right")
    found.add_column("dense is faster from", justify="right")
    for dense in (one for one in points if one.density == 1):
        where = dense.width, dense.batch, dense.threads
        like = [one for one in points if (one.width, one.batch, one.threads) == where]
        times = [f"{dense.seconds / one.seconds:.1f}" for one in like if one.density < 1]
        end = crossing(model, dense, dense.seconds)
        found.add_row(*(str(one) for one in where), *times, f"{end:.0%} kept")
    return found


def _computed(points: list[Point], model: Model) -> Table:
    """What more threads would do: to the sparse engine by the model, to dense ones ideally."""
    title = f"Computed: batch {BATCH}, blocks of {cpu().lanes} images; dense as if it scaled"
    found = Table(title=title)
    for column in ("width", "threads", "sparse, times one thread", "98%, times dense"):
        found.add_column(column, justify="right")
    found.add_column("dense is faster from", justify="right")
    for width in WIDTHS:
        like = {
            one.density: one
            for one in points
            if (one.width, one.batch, one.threads) == (width, BATCH, 1)
        }
        ticket, dense = like[0.02], like[1.0]
        for threads in THREADS:
            seconds = model.seconds(ticket, threads)
            end = crossing(model, dense, dense.seconds / threads, threads)
            found.add_row(
                str(width),
                str(threads),
                f"{model.seconds(ticket, 1) / seconds:.1f}",
                f"{dense.seconds / threads / seconds:.1f}",
                f"{end:.0%} kept",
            )
    return found


if __name__ == "__main__":
    sys.exit(main())
