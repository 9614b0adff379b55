"""How many weights each layer keeps by method: the picture that explains smart ratios."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from sanity.report.data.cells import Cell
from sanity.report.figures import canvas
from sanity.report.figures.canvas import Panel
from sanity.report.output import wording
from sanity.report.report import Report

NAMED = 20  # layers, up to which their names are written


def panels(report: Report) -> Iterator[Panel]:
    """One a context and sparsity; methods that keep the same in every layer share a line."""
    groups: dict[tuple[int, float | None], list[Cell]] = defaultdict(list)
    for cell in report.methods:
        if _densities(cell):
            groups[(id(cell.context), cell.sparsity)].append(cell)
    return (_panel(cells) for cells in groups.values())


def _densities(cell: Cell) -> dict[str, float]:
    """Mean density of each layer over seeds, as found."""
    found: dict[str, list[float]] = {}
    for run in cell.original.runs.values():
        for layer in (run.ticket or {}).get("layers", []):
            found.setdefault(layer["name"], []).append(layer["kept"] / layer["total"])
    return {name: float(np.mean(values)) for name, values in found.items()}


def _panel(cells: Sequence[Cell]) -> Panel:
    lines = _distinct(cells)
    names = max((list(line) for _, line in lines), key=len)
    empty = [label for label, line in lines if min(line.values()) == 0]
    positive = [value for _, line in lines for value in line.values() if value > 0]
    floor = min(positive, default=1.0) / 2
    named = len(names) <= NAMED
    height = canvas.HEIGHT + canvas.room(len(lines), columns=1) + (0.5 if named else 0)
    with canvas.drawing(height) as (drawn, axes):
        for number, (label, line) in enumerate(lines):
            axes.plot(
                range(1, len(names) + 1),
                [max(line.get(name, float("nan")), floor) for name in names],
                **canvas.look(number),
                markersize=3.5,
                linewidth=1.1,
                label=label,
            )
        axes.set_xlim(0.5, len(names) + 0.5)
        axes.set_yscale("log")
        axes.set_yticks([], minor=True)
        ticks = [tick for tick in (1e-4, 1e-3, 0.01, 0.1, 1) if floor <= tick]
        axes.set_yticks(ticks, [wording.percent(tick) for tick in ticks])
        if named:
            labels = [canvas.short(name) for name in names]
            axes.set_xticks(range(1, len(names) + 1), labels, rotation=60, ha="right", fontsize=6.5)
        else:
            axes.set_xlabel("layer")
        note = f" (lowest: empty, {', '.join(empty)})" if empty else ""
        axes.set_ylabel("weights kept")
        sparsity = wording.percent(cells[0].sparsity)
        axes.set_title(canvas.wrapped(f"{cells[0].context.label}, {sparsity}", 40))
        canvas.legend(drawn, axes, columns=1)
        alt = f"{cells[0].context.label}, {sparsity} pruned: density of {len(names)} layers{note}"
        name = canvas.file_name("density", cells[0].context.label, sparsity)
        return canvas.panel(drawn, name, alt)


def _distinct(cells: Sequence[Cell]) -> list[tuple[str, Mapping[str, float]]]:
    lines: dict[tuple[tuple[str, float], ...], list[str]] = defaultdict(list)
    for cell in cells:
        lines[tuple(_densities(cell).items())].append(cell.method)
    return [(" = ".join(methods), dict(line)) for line, methods in lines.items()]
