"""A report on the disk: ``report.html``, ``report.md``, ``results.csv`` and ``figures/``."""

from pathlib import Path

from sanity import sharing
from sanity.errors import SanityError
from sanity.files import write_atomically
from sanity.report import pages, tidy
from sanity.report.figures import canvas
from sanity.report.gallery import draw
from sanity.report.report import Report

KINDS = ("accuracy", "curves", "density", "difference", "overlap")  # what figures are called by
HTML, MARKDOWN, CSV = "report.html", "report.md", "results.csv"


def write(report: Report, directory: Path, *, best: bool = False) -> Path:
    """Write all files into ``directory``; returns the page's path.

    Each file is whole or the one of before. Raises SanityError where it cannot be written.
    """
    sections = draw(report)
    figures = directory / pages.FIGURES
    try:
        sharing.make_directory(figures)
        panels = [panel for section in sections.values() for panel in section.panels]
        for panel in panels:
            write_atomically(figures / f"{panel.name}.svg", canvas.standalone(panel))
        _remove_others(figures, {f"{panel.name}.svg" for panel in panels})
        write_atomically(directory / CSV, tidy.frame(report).to_csv(index=False))
        write_atomically(directory / MARKDOWN, pages.markdown(report, sections, best=best))
        write_atomically(directory / HTML, pages.html(report, sections, best=best))
    except OSError as error:
        raise SanityError(
            f"the report cannot be written to {directory} ({error.strerror}); choose another "
            "directory with --output"
        ) from error
    return directory / HTML


def _remove_others(figures: Path, names: set[str]) -> None:
    """Remove what an earlier report drew and this one does not."""
    for kind in KINDS:
        for path in figures.glob(f"{kind}-*.svg"):
            if path.name not in names:
                path.unlink(missing_ok=True)
