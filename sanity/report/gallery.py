"""All pictures of a report, by the question that they answer."""

from dataclasses import dataclass

from sanity.report import words
from sanity.report.figures import accuracy, curves, densities, differences, overlaps
from sanity.report.figures.canvas import Panel
from sanity.report.report import Report


@dataclass(frozen=True)
class Section:
    """Panels under a heading, with what one sees in them."""

    name: str
    heading: str
    text: str
    panels: tuple[Panel, ...]


def draw(report: Report) -> dict[str, Section]:
    """The sections that have anything to show, by name."""
    drawn_curves, left_out = curves.panels(report)
    more = f" {left_out} more methods and sparsities are not drawn." if left_out else ""
    margin, alpha = report.criteria.margin, report.criteria.alpha
    sections = (
        Section(
            "differences",
            "What each check did",
            "Accuracy with the check minus as found, paired by seed; a tick is a seed. The band is "
            f"the margin of ±{words.margin(margin)}: a thick bar ({1 - 2 * alpha:.0%} interval) in "
            f"it is an effect too small to matter, a thin one ({1 - alpha:.0%}) clear of 0 is a "
            "difference. Verdicts are stricter, since they are corrected for the number of "
            "checks. ▼ depends, ● does not depend, ◇ undecided.",
            tuple(differences.panels(report)),
        ),
        Section(
            "accuracy",
            "Accuracy as found",
            "Test accuracy of the last epoch beside the dense network's (dotted; its band, and "
            "that of curves, is the range of seeds).",
            tuple(accuracy.panels(report)),
        ),
        Section(
            "densities",
            "What each layer keeps",
            "Share of weights kept in each layer, mean over seeds, on a logarithmic scale. Methods "
            "with the same shares differ in nothing but the positions.",
            tuple(densities.panels(report)),
        ),
        Section(
            "overlap",
            "Do methods keep the same weights?",
            "Share of weights that both methods keep, and how many times chance that is: ×1.0 is "
            "what random positions with the same layer counts would share.",
            tuple(overlaps.panels(report)),
        ),
        Section(
            "curves",
            "Training curves",
            "Test accuracy of the tickets by epoch, mean over seeds; the band is the range of "
            f"seeds as found.{more}",
            tuple(drawn_curves),
        ),
    )
    return {section.name: section for section in sections if section.panels}
