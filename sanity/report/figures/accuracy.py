"""Accuracy against sparsity: every method as it was found, beside the dense network."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from matplotlib.axes import Axes

from sanity.report.data.cells import Cell, Context
from sanity.report.figures import canvas
from sanity.report.figures.canvas import INK, Panel
from sanity.report.output import wording
from sanity.report.report import Report
from sanity.stats.paired import deviation, mean


def panels(report: Report) -> Iterator[Panel]:
    """One a context: curves over sparsity, or a row a method where there is one sparsity."""
    for context in report.contexts:
        cells = [one for one in report.methods if one.context is context and one.accuracies]
        if cells:
            several = len({cell.sparsity for cell in cells}) > 1
            yield (_curves if several else _rows)(context, cells)


def _curves(context: Context, cells: Sequence[Cell]) -> Panel:
    methods: dict[str, list[Cell]] = defaultdict(list)
    for cell in cells:
        methods[cell.method].append(cell)
    height = canvas.HEIGHT + canvas.room(len(methods) + 1, columns=1)
    with canvas.drawing(height) as (drawn, axes):
        for number, (method, own) in enumerate(methods.items()):
            own = sorted(own, key=lambda cell: cell.pruned)
            kept = [1 - cell.pruned for cell in own]
            means = [mean(cell.accuracies) or 0 for cell in own]
            lows = [min(cell.accuracies.values()) for cell in own]
            highs = [max(cell.accuracies.values()) for cell in own]
            look = canvas.look(number)
            axes.plot(kept, means, **look, label=method)
            axes.fill_between(kept, lows, highs, color=look["color"], alpha=0.18, linewidth=0)
        _dense(axes, context, vertical=False)
        ticks = sorted({1 - cell.pruned for cell in cells})
        axes.set_xscale("log")
        axes.set_xticks(ticks, [wording.percent(round(1 - tick, 9)) for tick in ticks])
        axes.set_xticks([], minor=True)
        axes.invert_xaxis()
        axes.set_xlabel("sparsity")
        axes.set_ylabel("test accuracy (%)")
        axes.set_title(canvas.wrapped(context.label, 40))
        canvas.legend(drawn, axes, columns=1)
        alt = f"{context.label}: test accuracy against sparsity of {len(methods)} methods"
        return canvas.panel(drawn, canvas.file_name("accuracy", context.label), alt)


def _rows(context: Context, cells: Sequence[Cell]) -> Panel:
    """A row a method, where a curve would have one point: a dot a seed, the mean and its std."""
    sparsity = wording.percent(cells[0].sparsity)
    with canvas.drawing(0.95 + 0.3 * len(cells) + 0.15) as (drawn, axes):
        for row, cell in enumerate(cells):
            values, look = list(cell.accuracies.values()), canvas.look(row)
            average, spread = mean(cell.accuracies) or 0, deviation(cell.accuracies)
            axes.plot(values, [row] * len(values), "|", color=look["color"], alpha=0.8)
            axes.errorbar(average, row, xerr=spread, **look | {"linestyle": "-"}, linewidth=1.2)
        _dense(axes, context, vertical=True)
        names = [cell.method if cell.missed is None else cell.label for cell in cells]
        canvas.name_rows(axes, names)
        axes.set_xlabel("test accuracy (%): seeds, mean ± std")
        axes.set_title(canvas.wrapped(f"{context.label}, {sparsity} pruned", 40), x=0)
        canvas.legend(drawn, axes)
        alt = "; ".join(
            f"{cell.method} {wording.spread(mean(cell.accuracies), deviation(cell.accuracies))}%"
            for cell in cells
        )
        name = canvas.file_name("accuracy", context.label)
        return canvas.panel(drawn, name, f"{context.label}, {sparsity} pruned: {alt}")


def _dense(axes: Axes, context: Context, *, vertical: bool) -> None:
    if not context.dense:
        return
    low, high = min(context.dense.values()), max(context.dense.values())
    draw_line, draw_band = (
        (axes.axvline, axes.axvspan) if vertical else (axes.axhline, axes.axhspan)
    )
    draw_line(mean(context.dense) or 0, color=INK, linestyle=":", linewidth=1.2, label="dense")
    draw_band(low, high, color=INK, alpha=0.1, linewidth=0)
