"""A report on the disk: ``report.html``, ``report.md``, ``results.csv`` and ``figures/``."""

from pathlib import Path

from sanity.core import sharing
from sanity.core.errors import SanityError, reason
from sanity.core.files import write_atomically
from sanity.report.figures import canvas
from sanity.report.figures.gallery import draw
from sanity.report.output import as_csv, pages
from sanity.report.report import Report

KINDS = ("accuracy", "curves", "density", "difference", "overlap")  # what figures are called by
HTML, MARKDOWN, CSV = "report.html", "report.md", "results.csv"


def write(report: Report, directory: Path, *, best: bool = False, goes_on: bool = False) -> Path:
    """Write all files into ``directory``; returns the page's path.

    ``goes_on``: more is to come, and the page loads itself anew. Each file is whole or the one of
    before. Raises SanityError where it cannot be written.
    """
    sections = draw(report)
    panels = [panel for section in sections.values() for panel in section.panels]
    texts = {
        **{f"{pages.FIGURES}/{panel.name}.svg": canvas.standalone(panel) for panel in panels},
        CSV: as_csv.frame(report).to_csv(index=False),
        MARKDOWN: pages.markdown(report, sections, best=best),
        HTML: pages.html(report, sections, best=best, goes_on=goes_on),
    }
    try:
        sharing.make_directory(directory / pages.FIGURES)
        for name, text in texts.items():
            write_atomically(directory / name, text)
        for kind in KINDS:  # what an earlier report drew and this one does not
            for path in directory.glob(f"{pages.FIGURES}/{kind}-*.svg"):
                if f"{pages.FIGURES}/{path.name}" not in texts:
                    path.unlink(missing_ok=True)
    except OSError as error:
        raise SanityError(
            f"the report cannot be written to {directory} ({reason(error)}); choose another "
            "directory with --output"
        ) from error
    return directory / HTML
