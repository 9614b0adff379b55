"""How all panels look: sizes, colours for every eye, and SVG that follows the reader's theme."""

import html
import io
import re
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure as Drawing

from sanity.core.files import digest

WIDTH = 3.6  # inches, 346 CSS pixels: a panel fits a phone without being scaled down
HEIGHT = 2.7

INK, FAINT, PAPER = "#1b1c1e", "#c9cbcf", "#fdfefe"
# Okabe & Ito's colours, which the colour-blind tell apart, in an order of falling contrast.
SERIES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6bb1", "#7f7f40")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
LINES = ("-", "--", "-.", ":")

VARIABLES = {INK: "--ink", FAINT: "--faint", PAPER: "--paper"} | {
    colour: f"--series-{number}" for number, colour in enumerate(SERIES)
}
"""Colours that a page may replace by its own, for light and dark."""

CREATOR = "sanity.report"  # in every PDF, by which those of reports are known

STYLE: Any = {
    "font.size": 8.5,
    "font.family": "sans-serif",
    "svg.fonttype": "none",  # texts stay texts
    "pdf.fonttype": 42,  # embedded as outlines that editors and publishers take
    "text.parse_math": False,  # a dollar in a setting is a dollar
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.5,
    "xtick.color": INK,
    "ytick.color": INK,
    "lines.linewidth": 1.5,
    "lines.markersize": 4.5,
    "legend.frameon": False,
    "legend.fontsize": 7.5,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
}


@dataclass(frozen=True)
class Panel:
    """A picture: ``svg`` as a file has it, ``alt`` what it shows, for those who cannot see it.

    ``drawn`` is what it was drawn as, for other formats.
    """

    name: str
    alt: str
    svg: str
    title: str
    drawn: Drawing = field(repr=False, compare=False)

    @property
    def pdf(self) -> bytes:
        """The same as PDF on transparent ground, without dates: vectors and embedded letters."""
        buffer = io.BytesIO()
        with mpl.rc_context(STYLE):
            nothing = {"CreationDate": None, "Producer": None}
            self.drawn.savefig(buffer, format="pdf", metadata=nothing | {"Creator": CREATOR})
        return buffer.getvalue()

    @property
    def inline(self) -> str:
        """The SVG for an HTML page: it has the page's colours and width, and its own words."""
        text = self.svg[self.svg.index("<svg") :]
        for colour, variable in VARIABLES.items():
            text = text.replace(colour, f"var({variable}, {colour})")
        # Ids of groups repeat from panel to panel, and nothing refers to them.
        text = re.sub(r'<g id="[^"]*">', "<g>", text)
        text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.S)
        label = html.escape(self.alt, quote=True)
        return text.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)


def colour(number: int) -> str:
    """The colour of the ``number``-th series."""
    return SERIES[number % len(SERIES)]


def look(number: int) -> dict[str, Any]:
    """The ``number``-th series as a line; its dashes change when the colours start again."""
    dashes = LINES[(number // len(SERIES)) % len(LINES)]
    marker = MARKERS[number % len(MARKERS)]
    return {"color": colour(number), "linestyle": dashes, "marker": marker}


def wrapped(text: str, width: int = 22) -> str:
    """A label in several lines, where one would leave no room for the picture."""
    return "\n".join(textwrap.wrap(text, width, max_lines=3, placeholder="…")) or text


def short(text: str, length: int = 24) -> str:
    """A label that has one line only; its end tells most, as in layers' names."""
    return text if len(text) <= length else f"…{text[1 - length :]}"


@contextmanager
def drawing(height: float = HEIGHT, width: float = WIDTH) -> Iterator[tuple[Drawing, Axes]]:
    """A panel to draw on, ``width`` x ``height`` inches, in the report's style."""
    with mpl.rc_context(STYLE):
        drawn = Drawing(figsize=(width, height), layout="constrained")
        FigureCanvasSVG(drawn)
        yield drawn, drawn.add_subplot()


def name_rows(axes: Axes, names: Sequence[str]) -> None:
    """Names for rows of dots or bars, the first one on top."""
    axes.set_yticks(range(len(names)), [wrapped(name) for name in names])
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")


def panel(drawn: Drawing, name: str, alt: str, title: str = "") -> Panel:
    """The drawing as SVG on transparent ground; the same drawing gives the same text."""
    buffer = io.StringIO()
    # The salt keeps references apart when several panels share a page.
    with mpl.rc_context({"svg.hashsalt": name}):
        drawn.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return Panel(name, alt, buffer.getvalue(), title, drawn)


def legend(drawn: Drawing, axes: Axes, columns: int = 2) -> None:
    """The legend below the axes, where it hides nothing."""
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        drawn.legend(
            handles,
            [wrapped(label, 52) for label in labels],
            loc="outside lower left",
            ncols=1 if max(map(len, labels)) > 24 else columns,
            handlelength=2.2,
            columnspacing=1.2,
            labelspacing=0.25,
        )


def room(rows: int, columns: int = 2) -> float:
    """Inches that a legend of ``rows`` entries takes."""
    return 0.15 * -(-rows // columns)


def file_name(*parts: str) -> str:
    """A file's name of letters, digits and dashes, another one for other parts.

    What is lost of a label, or does not fit, is made up for by a digest.
    """
    text = "-".join(part for part in parts if part)
    name = re.sub(r"[^a-z0-9._]+", "-", text.lower()).strip("-.")
    whole = all(re.fullmatch(r"[a-z0-9._ %]*", part) for part in parts) and len(name) <= 80
    return name if whole else f"{name[:70]}-{digest(parts)[:8]}"


def standalone(panel: Panel) -> str:
    """The SVG as a file of its own: on paper, since its ink is dark whatever is behind it."""
    paper = f'<rect width="100%" height="100%" fill="{PAPER}"/>'
    return re.sub(r"(<svg [^>]*>)", lambda found: f"{found[1]}{paper}", panel.svg, count=1)
