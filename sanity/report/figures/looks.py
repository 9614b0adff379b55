"""How the interval of each question shrank, look by look, until it was decided."""

from collections.abc import Iterator

from sanity.report.data.questions import Question
from sanity.report.figures import canvas
from sanity.report.figures.canvas import INK, SERIES, Panel
from sanity.report.figures.differences import LOOKS
from sanity.report.output import tables, wording
from sanity.report.report import Report

HEIGHT = 1.9  # inches
REACH = 6  # margins beyond the last interval that an early one may show


def panels(report: Report) -> Iterator[Panel]:
    """One a question whose seeds were added until it was decided."""
    if report.criteria.grows:
        for question in report.questions:
            if question.judgement.paired.looks:
                yield _panel(question)


def _panel(question: Question) -> Panel:
    judgement, paired = question.judgement, question.judgement.paired
    margin, looks = judgement.criteria.margin, paired.looks
    colour = LOOKS[question.verdict]["color"]
    last = max(abs(bound) for bound in looks[-1].interval)
    reach = max(1.5 * margin, 1.15 * last, min(last + REACH * margin, _widest(question)))
    with canvas.drawing(HEIGHT) as (drawn, axes):
        axes.axhspan(-margin, margin, color=SERIES[0], alpha=0.15, linewidth=0)
        axes.axhline(0, color=INK, linewidth=0.8)
        for place, look in enumerate(looks):
            for bounds, width in ((look.interval, 1.0), (look.narrow, 2.6)):
                ends = [max(-reach, min(reach, bound)) for bound in bounds]
                axes.plot([place] * 2, ends, color=colour, linewidth=width, solid_capstyle="butt")
            for bound, marker in zip(look.interval, "v^", strict=True):
                if abs(bound) > reach:  # it goes on beyond the panel
                    end = reach if bound > 0 else -reach
                    axes.plot(place, end, marker, color=colour, markersize=3.5, clip_on=False)
            middle = sum(look.interval) / 2
            if abs(middle) <= reach:
                axes.plot(place, middle, "_", color=colour, markersize=9)
        axes.set_xticks(range(len(looks)), [str(look.seeds) for look in looks])
        axes.set_xlim(-0.6, len(looks) - 0.4)
        axes.set_ylim(-reach, reach)
        axes.set_xlabel("seeds (steps are not to scale)")
        axes.set_ylabel("points")
        axes.grid(visible=False, axis="x")
        title = f"{question.cell.label}: {question.label}"
        axes.set_title(canvas.wrapped(title, 44), x=0)
        label = question.cell.context.label
        name = canvas.file_name("looks", label, question.cell.label, question.label)
        ended = f"{tables.word(question)} after {wording.count(judgement.seeds, 'seed')}"
        steps = "; ".join(f"{look.seeds}: {wording.interval(look.interval)}" for look in looks)
        return canvas.panel(drawn, name, f"{title}, {label}: {steps}", f"{label}: {ended}")


def _widest(question: Question) -> float:
    intervals = (look.interval for look in question.judgement.paired.looks)
    return 1.05 * max(abs(bound) for interval in intervals for bound in interval)
