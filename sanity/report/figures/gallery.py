"""All pictures of a report, by the question that they answer."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from sanity.report.figures import accuracy, curves, densities, differences, looks, overlaps
from sanity.report.figures.canvas import Panel
from sanity.report.output import wording
from sanity.report.report import Report

LIMIT = 24  # panels of a section; a page of hundreds is not looked at


@dataclass(frozen=True)
class Section:
    """Panels under a heading, with what one sees in them."""

    name: str
    heading: str
    text: str
    panels: tuple[Panel, ...]


def draw(report: Report) -> dict[str, Section]:
    """The sections that have anything to show, by name."""
    margin, alpha = report.criteria.margin, report.criteria.alpha
    sections = (
        _section(
            "differences",
            "What each check did",
            "Accuracy with the check minus as found, paired by seed; a tick is a seed. The band is "
            f"the margin of ±{wording.margin(margin)}: a thick bar ({1 - 2 * alpha:.0%} interval) "
            f"in it is an effect too small to matter, a thin one ({1 - alpha:.0%}) clear of 0 is a "
            "difference. Verdicts are stricter, since they are corrected for the number of "
            "checks. ▼ ▲ depends, ● does not depend, ◇ undecided. Far from 0 the axis may be "
            "logarithmic, which its label says; an arrow says that an interval goes on.",
            differences.panels(report),
        ),
        _section(
            "looks",
            "How it was decided",
            "Seeds were added until each question was decided, or could not be. Bars are the "
            f"intervals after each look, {1 - alpha:.0%} (thin) and {1 - 2 * alpha:.0%} (thick), "
            "wide enough to hold at all looks together; an arrow says that one goes on. A thin bar "
            "clear of 0 is a difference, a thick one within the band, the margin of "
            f"±{wording.margin(margin)}, is none that matters; verdicts also allow for the number "
            "of checks. The design was the same before the first run: looks after 4, 6, 9, 13, 19, "
            "28 seeds and ten times as many, a fifth of the error that is left at each.",
            looks.panels(report),
        ),
        _section(
            "accuracy",
            "Accuracy as found",
            "Test accuracy of the last epoch beside the dense network's (dotted; its band, and "
            "that of curves, is the range of seeds).",
            accuracy.panels(report),
        ),
        _section(
            "densities",
            "What each layer keeps",
            "Share of weights kept in each layer, mean over seeds, on a logarithmic scale. Methods "
            "with the same shares differ in nothing but the positions.",
            densities.panels(report),
        ),
        _section(
            "overlap",
            "Do methods keep the same weights?",
            "Share of weights that both methods keep, and how many times chance that is: ×1.0 is "
            "what random positions with the same layer counts would share.",
            overlaps.panels(report),
        ),
        _section(
            "curves",
            "Training curves",
            "Test accuracy of the tickets by epoch, mean over seeds; the band is the range of "
            "seeds as found.",
            curves.panels(report),
        ),
    )
    return {section.name: section for section in sections if section.panels}


def _section(name: str, heading: str, text: str, panels: Iterator[Panel]) -> Section:
    """A section of as many panels as one looks at; each is drawn as it is asked for."""
    drawn = list(islice(panels, LIMIT + 1))
    if len(drawn) > LIMIT:
        text = f"{text} The first {LIMIT} of these pictures; report on fewer runs to see others."
    return Section(name, heading, text, tuple(drawn[:LIMIT]))
