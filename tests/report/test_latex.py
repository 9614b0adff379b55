"""Tables for papers: LaTeX takes them, whatever runs are called, and they say what pages say."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import simulated
from hypothesis import given
from hypothesis import strategies as st
from latex import tabulars
from simulated import Arm

from sanity.report.output import as_bibtex, as_latex, pages
from sanity.report.report import Report, make

COMMAND = "python -m sanity.report somewhere --format latex"
HOSTILE = (
    "[x]*%_&#$~^\\{}<>|\"'`--''",
    "*\u03b1\u6f22\u00e9 \u0142 \u0151 \u00b1\u2212\u00d7\u2026",
    "$x_1$ \\input{/etc/passwd} \\\\[2cm]",
    "% all that follows & more",
    "\\end{tabular}",
)


def report_of(tmp_path: Path) -> Report:
    return make([simulated.write(tmp_path / "runs", simulated.battery())])


def hostile(tmp_path: Path) -> Report:
    arms = [
        Arm(pruner=name, check=check, arch=name, seed=seed, accuracy=90.0 + seed * seed)
        for name in HOSTILE
        for check in ("none", *HOSTILE[:2])
        for seed in (0, 1, 2)
    ]
    root = simulated.write(tmp_path / "runs", [Arm(seed=number) for number in range(len(arms))])
    for arm, path in zip(arms, sorted(root.rglob("record.json")), strict=True):
        path.write_text(json.dumps(simulated.record(arm)))
    return make([root])


def test_accuracies_and_verdicts_stand_in_one_table(tmp_path: Path) -> None:
    text = as_latex.render(report_of(tmp_path), COMMAND)
    assert text.startswith(f"% Made by: {COMMAND}\n")
    assert text.count(r"\begin{table}") == 1
    assert r"\label{tab:digits-resnet8}" in text
    assert r"\caption{digits resnet8: test accuracy (\%)" in text
    accuracies, verdicts = tabulars(text)
    found = {row[0]: row[1] for row in accuracies}
    assert found["change"] == "lt, from init 98\\%"
    assert found["dense"] == r"$99.00 \pm 0.00$ (5)"
    assert found["as found"] == r"$97.02 \pm 0.09$ (5)"
    lost = next(number for number, row in enumerate(verdicts) if row[0] == "corrupted data")
    assert verdicts[lost][1] == "depends"
    assert verdicts[lost + 1][1] == r"{\footnotesize $-3.09$ {[}$-3.73$, $-2.45${]}}"


def test_what_a_page_notes_is_not_lost(tmp_path: Path) -> None:
    arms = [*simulated.seeds(5, 0, 0.1, 1), *simulated.seeds(5, -1, 1.2, 2, check="reinit")]
    arms += simulated.seeds(5, 0, 0.1, 3, sparsity=0.9)
    text = as_latex.render(make([simulated.write(tmp_path, arms)], 0.25), COMMAND, best=True)
    tabulars(text)
    assert "% Note: the margin of 0.25 points was chosen for this report" in text
    assert "undecided$^{1}$" in text
    assert re.search(r"\$\^\{1\}\$\\,(either way|probably)[a-z ]*: [\d,]+ (to|or more)", text)
    assert r"{\footnotesize best epoch $97." in text


def test_each_context_has_its_table(tmp_path: Path) -> None:
    report = make([simulated.write(tmp_path, [Arm(), Arm(arch="vgg11"), Arm(dataset="other")])])
    text = as_latex.render(report, COMMAND)
    assert [len(rows) for rows in tabulars(text)] == [4, 4, 4]
    labels = [line for line in text.split("\n") if line.startswith(r"\label")]
    assert len({*labels}) == 3
    markdown = pages.tables_alone(report, COMMAND, best=False)
    assert markdown.count("## ") == 3
    assert "## digits vgg11" in markdown


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a_b & 5% #1", r"a\_b \& 5\% \#1"),
        ("\\x{y}$", r"\textbackslash{}x\{y\}\$"),
        ("~^<>|", r"\textasciitilde{}\textasciicircum{}\textless{}\textgreater{}\textbar{}"),
        ("[-1.0]", "{[}-1.0{]}"),
        ("\N{MINUS SIGN}1 ±2 ×3", r"$-$1 $\pm$2 $\times$3"),
        ("--margin ''", "-{}-margin '{}'"),
        ("naïve Łódź", r"na\"{i}ve \L{}\'{o}d\'{z}"),
        ("αΩΑλ", r"$\alpha$$\Omega$$A$$\lambda$"),
        ("漢 \x07 \ud800", "{[}U+6F22{]} {[}U+0007{]} {[}U+D800{]}"),
        (" two\n lines\t", "two lines"),
        ("", ""),
    ],
)
def test_texts_are_escaped(text: str, expected: str) -> None:
    assert as_latex.escaped(text) == expected


@given(st.text())
def test_any_text_is_text(text: str) -> None:
    tabulars(as_latex.escaped(text))


def test_nothing_in_a_record_is_markup(tmp_path: Path) -> None:
    report = hostile(tmp_path)
    text = as_latex.render(report, f"python -m sanity.report '{HOSTILE[3]}\n\\stop'")
    assert len(tabulars(text)) == 2 * len(HOSTILE)
    assert not re.search(r"^[^%].*\\(input|stop)", text, re.M)
    assert text.split("\n")[0].endswith("\\stop'"), "a comment ends with its line"
    markdown = pages.tables_alone(report, "x\n# y", best=True)
    assert "\n# y" not in markdown
    lines = [line.replace("\\|", "") for line in markdown.split("\n") if line.startswith("|")]
    assert {line.count("|") for line in lines} == {3}


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no LaTeX here")
def test_latex_makes_pages_of_it(tmp_path: Path) -> None:
    report = hostile(tmp_path)
    (tmp_path / "tables.tex").write_text(as_latex.render(report, COMMAND))
    (tmp_path / "references.bib").write_text(as_bibtex.render(report))
    (tmp_path / "paper.tex").write_text(
        r"\documentclass{article}\usepackage[T1]{fontenc}\usepackage{lmodern}\usepackage{booktabs}"
        r"\begin{document}\input{tables}\nocite{*}\bibliographystyle{plain}"
        r"\bibliography{references}\end{document}"
    )
    latex = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    for command in (latex, ["bibtex", "paper"], latex, latex):
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
        assert done.returncode == 0, done.stdout.decode(errors="replace")[-2000:]
    log = (tmp_path / "paper.log").read_text(errors="replace")
    assert "undefined" not in log
    assert (tmp_path / "paper.pdf").is_file()
