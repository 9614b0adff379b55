"""What each check did: differences to the original, their intervals, and the margin's band."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

from matplotlib.axes import Axes

from sanity.report.data.questions import Question
from sanity.report.figures import canvas
from sanity.report.figures.canvas import FAINT, INK, PAPER, SERIES, Panel
from sanity.report.output import wording
from sanity.report.report import Report
from sanity.stats.criteria import Criteria
from sanity.stats.verdicts import Verdict

LOOKS: dict[Verdict, dict[str, Any]] = {
    Verdict.DEPENDS: {"marker": "v", "color": SERIES[1]},
    Verdict.INDEPENDENT: {"marker": "o", "color": SERIES[0]},
    Verdict.UNDECIDED: {"marker": "D", "color": INK, "markerfacecolor": PAPER},
    Verdict.NONE: {"marker": ".", "color": FAINT},
}
STRETCH = 8  # margins from which on the axis is logarithmic, if effects reach so far


def panels(report: Report) -> Iterator[Panel]:
    """One a context and check: a row a method, with a dot a seed."""
    for context in report.contexts:
        for check, label in report.columns:
            asked = [
                one
                for one in report.questions
                if one.cell.context is context and (one.check, one.label) == (check, label)
                if one.judgement.paired.seeds
            ]
            if asked:
                yield _panel(asked, check, label, report.criteria)


def _panel(asked: Sequence[Question], check: str, label: str, criteria: Criteria) -> Panel:
    context = asked[0].cell.context
    one_sparsity = len({one.cell.sparsity for one in asked}) == 1
    with canvas.drawing(1.05 + 0.27 * len(asked)) as (drawn, axes):
        reach = _reach(asked, criteria)
        axes.axvspan(-criteria.margin, criteria.margin, color=SERIES[0], alpha=0.15, linewidth=0)
        axes.axvline(0, color=INK, linewidth=0.8)
        for row, question in enumerate(asked):
            _row(axes, row, question, reach)
        names = [one.cell.method if one_sparsity else one.cell.label for one in asked]
        canvas.name_rows(axes, names)
        is_linear = _scale(axes, reach, criteria.margin)
        bend = f" (logarithmic beyond ±{STRETCH * criteria.margin:g})"
        axes.set_xlabel(f"points of test accuracy{'' if is_linear else bend}")
        axes.set_title(canvas.wrapped(label, 40), x=0)
        said = "; ".join(
            f"{one.cell.label}: {wording.effect(one.judgement.paired)}, {one.verdict}"
            for one in asked
        )
        name = canvas.file_name("difference", context.label, label)
        alt = f"{label} against as found, {context.label}: {said}"
        return canvas.panel(drawn, name, alt, f"{context.label}: {wording.question(check)}")


def _row(axes: Axes, row: int, question: Question, reach: float) -> None:
    paired, look = question.judgement.paired, LOOKS[question.verdict]
    if question.verdict is Verdict.DEPENDS and (question.judgement.effect or 0) > 0:
        look = look | {"marker": "^"}
    colour = look["color"]
    seeds = list(paired.differences.values())
    axes.plot(seeds, [row + 0.22] * len(seeds), "|", color=colour, alpha=0.6, markersize=4)
    for bounds, width in ((paired.interval, 1.0), (paired.narrow, 2.6)):
        if bounds is not None:
            low, high = (max(-reach, min(reach, bound)) for bound in bounds)
            axes.plot([low, high], [row, row], color=colour, linewidth=width, solid_capstyle="butt")
            for end, bound in ((low, bounds[0]), (high, bounds[1])):
                if end != bound and width == 1.0:  # it goes on beyond the panel
                    arrow = "<" if bound < 0 else ">"
                    axes.plot(end, row, arrow, color=colour, markersize=3.5, clip_on=False)
    axes.plot(paired.middle or 0, row, linestyle="none", zorder=3, **look)


def _reach(asked: Sequence[Question], criteria: Criteria) -> float:
    """How far the axis goes: to the farthest seed; wide intervals of few seeds end in arrows."""
    seeds = [abs(value) for one in asked for value in one.judgement.paired.differences.values()]
    return 1.25 * max(3 * criteria.margin, *seeds)


def _scale(axes: Axes, reach: float, margin: float) -> bool:
    """Linear, or beyond some margins logarithmic, so that a collapse does not hide the rest.

    Returns whether it is linear.
    """
    bend = STRETCH * margin
    is_linear = reach <= 2 * bend
    if not is_linear:
        axes.set_xscale("symlog", linthresh=bend, linscale=1.5)
        powers = range(math.floor(math.log10(bend)), 3)
        far = [factor * 10.0**power for power in powers for factor in (1, 3)]
        ticks = [bend / 2, max(value for value in far if value <= reach)]
        ticks = [*(-tick for tick in ticks), 0, *ticks]
        axes.set_xticks(ticks, [f"{tick:g}".replace("-", wording.MINUS) for tick in ticks])
        axes.set_xticks([], minor=True)
    axes.set_xlim(-reach, reach)
    return is_linear
