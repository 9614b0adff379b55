"""The tables of a report for a paper: LaTeX with booktabs, a table a context."""

import re
import textwrap
import unicodedata
from collections.abc import Iterable, Sequence
from itertools import pairwise, zip_longest

from sanity.report.data import matrix
from sanity.report.data.cells import Context
from sanity.report.data.matrix import Entry, Head, Matrix
from sanity.report.figures.canvas import file_name
from sanity.report.output import wording
from sanity.report.report import Report

PLAIN = {
    **{sign: f"\\{sign}" for sign in "{}$&#%_"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "`": r"{}\char96{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\char34{}",  # shorthands of some languages begin with it
    # At the beginning of a row these would belong to the line break before it.
    **{"[": "{[}", "]": "{]}", "*": "{*}"},
}
BACKSLASH = "\\"
DOUBLED = "-',"  # two of them would be another sign
SIGNS = {
    **{wording.MINUS: "$-$", "±": r"$\pm$", "×": r"$\times$", "·": r"$\cdot$", "∞": r"$\infty$"},
    **{"≤": r"$\leq$", "≥": r"$\geq$", "≠": r"$\neq$", "≈": r"$\approx$", "→": r"$\to$"},
    **{"–": "--", "—": "---", "…": r"\ldots{}", "‘": "`", "’": "'", "“": "``", "”": "''"},
    **{"ß": r"\ss{}", "æ": r"\ae{}", "Æ": r"\AE{}", "œ": r"\oe{}", "Œ": r"\OE{}"},
    **{"ø": r"\o{}", "Ø": r"\O{}", "ł": r"\l{}", "Ł": r"\L{}", "ı": r"\i{}"},
    **{"²": "$^2$", "³": "$^3$", "°": r"$^\circ$", "µ": r"$\mu$", "ς": r"$\varsigma$"},
}
GREEK = (
    *("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa"),
    *("lambda", "mu", "nu", "xi", "omicron", "pi", "rho", "sigma", "tau", "upsilon", "phi"),
    *("chi", "psi", "omega"),
)
LIKE_LATIN = {  # TeX has no commands for Greek letters that look like Latin ones
    **{"omicron": "o", "Alpha": "A", "Beta": "B", "Epsilon": "E", "Zeta": "Z", "Eta": "H"},
    **{"Iota": "I", "Kappa": "K", "Mu": "M", "Nu": "N", "Omicron": "O", "Rho": "P", "Tau": "T"},
    "Chi": "X",
}
ACCENTS = {
    **{"\u0300": "`", "\u0301": "'", "\u0302": "^", "\u0303": "~", "\u0304": "=", "\u0306": "u"},
    **{"\u0307": ".", "\u0308": '"', "\u030a": "r", "\u030b": "H", "\u030c": "v", "\u0323": "d"},
    **{"\u0327": "c", "\u0331": "b"},
}
FIGURE = re.compile(rf"[+{wording.MINUS}]?\d+\.\d+(?: ±\d+\.\d+)?")

WIDTH = 18  # letters of a heading's line
SMALL = 22  # of one in a smaller type
SHORT = 24  # letters up to which a line stands in its place, and not below the table


def render(report: Report, command: str, *, best: bool = False) -> str:
    """A table a context, accuracies above verdicts; ``command`` is told as what has made them."""
    told = [
        f"Made by: {command}",
        r"Needs \usepackage{booktabs}; what is cited stands in the report's references.bib.",
        *report.warnings,
        *(f"Note: {note}" for note in report.notes),
    ]
    tables = [_table(context, one, best) for context, one in matrix.by_context(report)]
    comments = "\n".join(map(_comment, told))
    return "\n\n".join([comments, *(tables or ["% No run has a ticket."])]) + "\n"


def _comment(text: str) -> str:
    """A line that LaTeX skips, whatever stands in it."""
    return "% " + "".join(letter if letter.isprintable() else " " for letter in text)


def escaped(text: str) -> str:
    """A text of whatever origin as plain text on one line, in letters that any LaTeX has."""
    line = unicodedata.normalize("NFC", " ".join(text.split()))
    pairs = pairwise(f"{line} ")
    return "".join(
        _letter(one) + ("{}" if one == after and one in DOUBLED else "") for one, after in pairs
    )


def _letter(letter: str) -> str:
    if letter.isascii():
        found = PLAIN.get(letter, letter)
        return found if letter.isprintable() else _named(letter)
    return SIGNS.get(letter) or _greek(letter) or _accented(letter) or _named(letter)


def _greek(letter: str) -> str:
    name = unicodedata.name(letter, "").removeprefix("GREEK ")
    size, _, word = name.partition(" LETTER ")
    word = word.replace("LAMDA", "LAMBDA").lower()
    if size not in ("SMALL", "CAPITAL") or word not in GREEK:
        return ""
    word = word if size == "SMALL" else word.capitalize()
    return f"${LIKE_LATIN.get(word, BACKSLASH + word)}$"


def _accented(letter: str) -> str:
    parts = unicodedata.normalize("NFD", letter)
    fine = len(parts) == 2 and parts[0].isascii() and parts[0].isalpha() and parts[1] in ACCENTS
    return f"\\{ACCENTS[parts[1]]}{{{parts[0]}}}" if fine else ""


def _named(letter: str) -> str:
    """What not every LaTeX can print: by its number."""
    return f"{{[}}U+{ord(letter):04X}{{]}}"


def _figures(text: str) -> str:
    """The same, numbers in mathematics: a sign is no hyphen there."""
    found, end = "", 0
    for match in FIGURE.finditer(text):
        number = match[0].replace(wording.MINUS, "-").replace(" ±", r" \pm ")
        found += f"{_spaced(text[end : match.start()])}${number}$"
        end = match.end()
    return found + _spaced(text[end:])


def _spaced(text: str) -> str:
    """Escaped, with the space at its ends that stands between it and a number."""
    inner = escaped(text)
    if not inner:
        return " " if text else ""
    return f"{' ' if text[0].isspace() else ''}{inner}{' ' if text[-1].isspace() else ''}"


def _table(context: Context, report: Report, best: bool) -> str:
    notes = _Notes()
    accuracies = _tabular(matrix.accuracies(report, best=best), notes, detailed=True)
    verdicts = _tabular(matrix.verdicts(report), notes) if report.questions else []
    middle = [r"\par\medskip"] if accuracies and verdicts else []
    return "\n".join(
        [
            r"\begin{table}[htbp]",
            r"\centering",
            r"\small\setlength{\tabcolsep}{4pt}",
            rf"\caption{{{_caption(context, report)}}}",
            rf"\label{{tab:{file_name(context.label)}}}",
            r"\par\smallskip",
            *accuracies,
            *middle,
            *verdicts,
            *notes.lines(),
            r"\end{table}",
        ]
    )


def _caption(context: Context, report: Report) -> str:
    criteria = report.criteria
    said = (
        rf"{escaped(context.label)}: test accuracy (\%) of the last epoch, mean $\pm$ standard "
        "deviation (number of seeds)."
    )
    if not report.questions:
        return said
    together = "a method" if criteria.family == "cell" else "the report"
    percent = [f"{100 * share:.6g}\\%" for share in (1 - criteria.alpha, criteria.alpha)]
    random = any(one.check == wording.RANDOM_TICKET for one in report.questions)
    return (
        f"{said} Below, whether a ticket depends on what a check changes: points of accuracy "
        f"against the ticket as found, paired by seed, with {percent[0]} intervals. \\emph{{Does "
        f"not depend}}: smaller than {wording.margin(criteria.margin)} (two one-sided $t$-tests"
        r"~\cite{schuirmann1987comparison}); \emph{depends}: different from 0 (paired $t$-test); "
        f"both at {percent[1]}, corrected for all checks of {together}~\\cite{{holm1979simple}}."
        + (r" \emph{A random ticket}: would one do as well in its place?" if random else "")
    )


class _Notes:
    """What is too long for a place in a table stands below it, under a number."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def mark(self, text: str) -> str:
        """The number of a note, to be put where it belongs."""
        return f"$^{{{self._numbers.setdefault(text, len(self._numbers) + 1)}}}$"

    def lines(self) -> list[str]:
        """All notes, as a paragraph."""
        if not self._numbers:
            return []
        told = (f"$^{{{number}}}$\\,{_figures(text)}" for text, number in self._numbers.items())
        body = ".\n".join(told)
        return [
            r"\par\medskip",
            r"\begin{minipage}{\linewidth}",
            rf"\footnotesize {body}.",
            r"\end{minipage}",
        ]


def _tabular(content: Matrix, notes: _Notes, *, detailed: bool = False) -> list[str]:
    """A matrix, places of several lines over several rows; ``detailed``: with what methods are."""
    if not content.rows:
        return []
    turned = content.corner != "method"
    top = [[content.corner], *(_heading(head, detailed and turned) for head in content.columns)]
    rows = [
        _rows([_heading(head, detailed and not turned), *(_place(one, notes) for one in entries)])
        for head, entries in content.rows
    ]
    return [
        rf"\begin{{tabular}}{{@{{}}l{'l' * len(content.columns)}@{{}}}}",
        r"\toprule",
        *_rows(top),
        r"\midrule",
        *(line for row in _joined(rows) for line in row),
        r"\bottomrule",
        r"\end{tabular}",
    ]


def _joined(rows: Sequence[list[str]]) -> Iterable[list[str]]:
    """Rows with room between them where any of them takes several lines."""
    several = any(len(row) > 1 for row in rows)
    for number, row in enumerate(rows):
        yield [r"\addlinespace", *row] if several and number else row


def _rows(cells: Sequence[Sequence[str]]) -> list[str]:
    return [" & ".join(line) + r" \\" for line in zip_longest(*cells, fillvalue="")]


def _heading(head: Head, detailed: bool) -> list[str]:
    found = [escaped(line) for line in textwrap.wrap(head.name, WIDTH)] or [""]
    small = textwrap.wrap(head.detail, SMALL) if detailed else []
    return [*found, *(_small(escaped(line)) for line in small)]


def _place(entry: Entry | None, notes: _Notes) -> list[str]:
    if entry is None:
        return [""]
    first, lines = _figures(entry.text), entry.lines
    if entry.verdict is None:
        first += f" ({escaped(lines[0].removeprefix('n = '))})"
        lines = lines[1:]
    first += "".join(notes.mark(line) for line in lines if len(line) > SHORT)
    return [first, *(_small(_figures(line)) for line in lines if len(line) <= SHORT)]


def _small(text: str) -> str:
    return rf"{{\footnotesize {text}}}"
