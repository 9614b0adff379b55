"""Training curves of a cell's tickets: as found, and under every check."""

from collections.abc import Iterator, Mapping

import numpy as np
from matplotlib.ticker import MaxNLocator

from sanity.report.data.cells import Arm, Cell
from sanity.report.data.runs import epochs
from sanity.report.figures import canvas
from sanity.report.figures.canvas import INK, Panel
from sanity.report.report import Report


def panels(report: Report) -> Iterator[Panel]:
    """One a cell, those with most checks first."""
    cells = [cell for cell in report.cells if any(arm.accuracies for arm in cell.arms.values())]
    cells.sort(key=lambda cell: -len(cell.arms))
    return (panel for cell in cells if (panel := _panel(cell)) is not None)


def _panel(cell: Cell) -> Panel | None:
    curves = {label: found for label, arm in cell.arms.items() if (found := _curve(arm))}
    if not curves:
        return None
    with canvas.drawing(canvas.HEIGHT + canvas.room(len(curves))) as (drawn, axes):
        for number, (label, seeds) in enumerate(curves.items()):
            original = label == cell.original.label
            at = sorted(seeds)
            means = [np.mean(seeds[epoch]) for epoch in at]
            colour = INK if original else canvas.colour(number - 1)
            axes.plot(
                [epoch + 1 for epoch in at],
                means,
                color=colour,
                linestyle="-" if original else ("--", "-.", ":")[number % 3],
                linewidth=1.8 if original else 1.3,
                label=label,
                marker="." if len(at) == 1 else None,
            )
            if original:
                lows, highs = ([pick(seeds[epoch]) for epoch in at] for pick in (min, max))
                axes.fill_between([e + 1 for e in at], lows, highs, color=INK, alpha=0.12, lw=0)
        axes.set_ylim(*_limits(curves))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("epoch")
        axes.set_ylabel("test accuracy (%)")
        axes.set_title(canvas.wrapped(cell.label, 40))
        canvas.legend(drawn, axes)
        name = canvas.file_name("curves", cell.context.label, cell.label)
        alt = f"{cell.context.label}, {cell.label}: test accuracy by epoch, {', '.join(curves)}"
        return canvas.panel(drawn, name, alt)


def _curve(arm: Arm) -> dict[int, list[float]]:
    """Test accuracies of all seeds, by epoch."""
    found: dict[int, list[float]] = {}
    for run in arm.runs.values():
        for figures in epochs(run, "train_ticket"):
            found.setdefault(int(figures["epoch"]), []).append(figures["test_accuracy"])
    return found


def _limits(curves: Mapping[str, Mapping[int, list[float]]]) -> tuple[float, float]:
    """The range in which curves end; the first steep climb would leave no room for it."""
    late, high = [], 0.0
    for seeds in curves.values():
        at = sorted(seeds)
        late += [min(seeds[epoch]) for epoch in at[len(at) // 4 :]]
        high = max(high, *(max(seeds[epoch]) for epoch in at))
    low = min(late)
    margin = max(0.5, 0.05 * (high - low))
    return max(0.0, low - margin), min(100.5, high + margin)
