"""Mask overlap between methods, beside what chance would give."""

from collections.abc import Iterator

import matplotlib as mpl

from sanity.report.data.overlap import Overlap, overlaps
from sanity.report.figures import canvas
from sanity.report.figures.canvas import INK, Panel
from sanity.report.output import wording
from sanity.report.report import Report


def panels(report: Report) -> Iterator[Panel]:
    """One a context and sparsity."""
    return (_panel(one) for one in overlaps(report.methods))


def _panel(overlap: Overlap) -> Panel:
    methods = [cell.method for cell in overlap.cells]
    labels = [canvas.wrapped(method, 18) for method in methods]
    size, context = len(methods), overlap.cells[0].context
    sparsity = wording.percent(overlap.cells[0].sparsity)
    with canvas.drawing(1.3 + 0.36 * size, max(canvas.WIDTH, 1.5 + 0.42 * size)) as (drawn, axes):
        colours = mpl.colormaps["cividis"]
        for row in range(size):
            for column in range(row):
                share, chance = overlap.share[row, column], overlap.chance[row, column]
                axes.add_patch(
                    mpl.patches.Rectangle(
                        (column - 0.5, row - 0.5), 1, 1, facecolor=colours(share), linewidth=0
                    )
                )
                times = f"\n×{share / chance:.1f}" if chance else ""
                axes.text(
                    column,
                    row,
                    f"{100 * share:.0f}%{times}",
                    ha="center",
                    va="center",
                    fontsize=6.5,
                    color="#111111" if share > 0.5 else "#ffffff",  # on light, on dark
                )
        axes.set_xlim(-0.5, size - 1.5)
        axes.set_ylim(size - 0.5, 0.5)
        axes.set_xticks(range(size - 1), labels[:-1], rotation=40, ha="right")
        axes.set_yticks(range(1, size), labels[1:])
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0, labelcolor=INK)
        axes.set_title(canvas.wrapped(f"{context.label}, {sparsity}", 40), x=0)
        pairs = [
            f"{methods[row]} and {methods[column]} {100 * overlap.share[row, column]:.0f}%"
            for row in range(size)
            for column in range(row)
        ]
        name = canvas.file_name("overlap", context.label, sparsity)
        alt = f"{context.label}, {sparsity} pruned, weights kept by both: {'; '.join(pairs)}"
        return canvas.panel(drawn, name, alt)
