"""Whether LaTeX would take a text: a reader of the little that tables are made of."""

import re

TOKEN = re.compile(r"\\[A-Za-z]+|\\.|[{}$&#%_^~\n]|[^\\{}$&#%_^~\n]+", re.S)
RULE = re.compile(r"^.*\\(toprule|midrule|addlinespace)\b")  # what stands above a row
COMMANDS = {
    *("centering", "small", "setlength", "tabcolsep", "caption", "label", "par", "smallskip"),
    *("medskip", "toprule", "midrule", "bottomrule", "addlinespace", "footnotesize", "linewidth"),
    *("begin", "end", "emph", "cite", "textbackslash", "textasciitilde", "textasciicircum"),
    *("textless", "textgreater", "textbar", "char", "pm", "times", "cdot", "infty", "leq", "geq"),
    *("neq", "approx", "to", "ldots", "ss", "ae", "AE", "oe", "OE", "o", "O", "l", "L", "i"),
    *("circ", "mu", "varsigma"),
}


def tabulars(text: str) -> list[list[list[str]]]:
    """The cells of each tabular, row by row; fails where LaTeX would, or would read markup."""
    body = "\n".join(line for line in text.split("\n") if not line.startswith("% "))
    assert body.isascii()
    opened: list[str] = []
    found: list[list[list[str]]] = []
    width, row, cell = 0, [""], ""
    tokens = TOKEN.findall(body)
    for number, token in enumerate(tokens):
        rest = "".join(tokens[number + 1 : number + 8])
        if token == "\\begin":
            match = re.match(r"\{(\w+)\}", rest)
            assert match
            opened.append(match[1])
            if match[1] == "tabular":
                spec = "".join(tokens[number + 4 : number + 20]).partition("\n")[0]
                columns = re.fullmatch(r"\{@\{\}(l+)@\{\}\}", spec)
                assert columns, spec
                width, row, cell = len(columns[1]), [], ""
                found.append([])
        elif token == "\\end":
            assert rest.startswith(f"{{{opened[-1]}}}"), (opened, rest)
            opened.pop()
        elif token == "{":
            opened.append("{")
        elif token == "}":
            assert opened.pop() == "{", "mathematics reaches beyond its group"
        elif token == "$":
            if opened and opened[-1] == "$":
                opened.pop()
            else:
                assert "$" not in opened
                opened.append("$")
        elif token in ("&", "\\\\"):
            assert opened[-1] == "tabular", opened
            row.append(RULE.sub("", cell).strip())
            cell = ""
            if token == "\\\\":
                assert len(row) == width, row
                assert not re.match(r"\s*[\[*]", rest), "would belong to the line break"
                found[-1].append(row)
                row = []
            continue
        elif token == "^":
            assert "$" in opened
        elif token in ("#", "%"):
            raise AssertionError(f"{token} is markup")
        elif token == "_":
            assert "\\label" in tokens[number - 4 : number], "subscript"
        elif token == "~":
            assert tokens[number + 1] == "\\cite"
        elif token[0] == "\\" and token[1:].isalpha() and len(token) > 2:
            greek = "$" in opened and token[1:].lower() in _GREEK
            assert token[1:] in COMMANDS or greek, token
        cell += token if token != "\n" else " "
    assert not opened
    return found


_GREEK = {
    *("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa"),
    *("lambda", "mu", "nu", "xi", "pi", "rho", "sigma", "tau", "upsilon", "phi", "chi", "psi"),
    "omega",
}
