"""A report on the disk: pages, table, bibliography and figures."""

from collections.abc import Iterator
from pathlib import Path

from sanity.core import sharing
from sanity.core.errors import SanityError, reason
from sanity.core.files import write_atomically
from sanity.report.figures import canvas
from sanity.report.figures.gallery import draw
from sanity.report.output import as_bibtex, as_csv, pages
from sanity.report.report import Report

KINDS = (
    "accuracy",
    "curves",
    "density",
    "difference",
    "looks",
    "overlap",
)  # what figures are called by
HTML, MARKDOWN, CSV = "report.html", "report.md", "results.csv"


def write(
    report: Report,
    directory: Path,
    *,
    best: bool = False,
    pdf: bool = False,
    goes_on: bool = False,
) -> Path:
    """Write all files into ``directory``; returns the page's path.

    ``pdf``: the figures as PDF too. ``goes_on``: more is to come, and the page loads itself anew.
    Each file is whole or the one of before. Raises SanityError where it cannot be written, or a
    bibliography of one's own lies in its place.
    """
    sections = draw(report)
    panels = [panel for section in sections.values() for panel in section.panels]
    contents: dict[str, str | bytes] = {
        **{f"{pages.FIGURES}/{panel.name}.svg": canvas.standalone(panel) for panel in panels},
        **{f"{pages.FIGURES}/{panel.name}.pdf": panel.pdf for panel in panels if pdf},
        pages.BIBLIOGRAPHY: as_bibtex.render(report),
        CSV: as_csv.frame(report).to_csv(index=False),
        MARKDOWN: pages.markdown(report, sections, best=best),
        HTML: pages.html(report, sections, best=best, goes_on=goes_on),
    }
    try:
        _refuse_to_replace(directory / pages.BIBLIOGRAPHY)
        sharing.make_directory(directory / pages.FIGURES)
        for name, content in contents.items():
            write_atomically(directory / name, content)
        for path in _figures(directory / pages.FIGURES):
            if f"{pages.FIGURES}/{path.name}" not in contents:  # an earlier report drew it
                path.unlink(missing_ok=True)
    except OSError as error:
        raise SanityError(
            f"the report cannot be written to {directory} ({reason(error)}); choose another "
            "directory with --output"
        ) from error
    return directory / HTML


def _refuse_to_replace(bibliography: Path) -> None:
    """A paper's directory may have its own, which is more than a report can make again."""
    if bibliography.is_file() and not bibliography.read_bytes().startswith(as_bibtex.MARK.encode()):
        raise SanityError(
            f"{bibliography} is not a report's and would be replaced; choose another directory "
            "with --output"
        )


def _figures(directory: Path) -> Iterator[Path]:
    """The figures of reports: SVGs by their names, PDFs by what they say of themselves too."""
    for kind in KINDS:
        yield from directory.glob(f"{kind}-*.svg")
        for path in directory.glob(f"{kind}-*.pdf"):
            if f"/Creator ({canvas.CREATOR})".encode() in path.read_bytes():
                yield path
