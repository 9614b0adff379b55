"""Terminal, Markdown, CSV, JSON and HTML say the same, and nothing in a record can break them."""

import csv
import io
import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
import simulated
from rich.console import Console
from simulated import Arm

from sanity.core.config import PROJECT
from sanity.report.data import matrix
from sanity.report.figures.gallery import LIMIT, draw
from sanity.report.output import as_json, files, terminal
from sanity.report.report import Report, make

EVIL = (
    "=cmd\x1b[31m\x07\ud800<script>alert('1')</script>&\"'|`[x](javascript:1) $x_1$ \n# {{ 7*7 }}"
)


def report_of(tmp_path: Path) -> Report:
    return make([simulated.write(tmp_path / "runs", simulated.battery())])


def printed(report: Report, **options: bool) -> str:
    console = Console(file=io.StringIO(), width=200, markup=False)
    console.print(terminal.render(report, **options))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_terminal_shows_controls_accuracies_verdicts_and_what_they_mean(tmp_path: Path) -> None:
    text = printed(report_of(tmp_path))
    assert text.index("Not needed, within 0.5 points: the positions it keeps.") > 0
    assert text.index("lt at 98% on digits resnet8") < text.index("Controls as expected: random")
    assert text.index("Controls as expected: random") < text.index("accuracy as found")
    assert "test images" not in text  # no record says how many
    assert re.search(
        r"change +dense network +lt, from init 98% +random 98% +lt, LR rewound 98%", text
    )
    assert re.search(r"as found +99.00 ±0.00 \(5\) +97.02 ±0.09 \(5\) +96.98 ±0.10 \(5\)", text)
    assert "does not depend" in text
    assert re.search(r"(either way|probably [a-z ]+): \d+ to \d+ new seeds", text)
    assert "smaller than 0.5 points (TOST)" in text
    assert "best" not in text
    assert "best epoch 97.12" in printed(report_of(tmp_path / "again"), best=True)


def test_the_number_of_test_images_is_told_where_it_is_known(tmp_path: Path) -> None:
    place = simulated.write(tmp_path / "runs", simulated.battery())
    for path in place.rglob("record.json"):
        content = json.loads(path.read_text())
        content["config"]["dataset"]["num_classes"] = 10
        content["data"] = {"test_images": 360, "largest_class": 37, "overlap": 0}
        path.write_text(json.dumps(content))
    report = make([place])
    assert "360 test images, one is 0.28 points" in printed(report)
    page = files.write(report, tmp_path / "out")
    assert "360 test images, one is 0.28 points" in page.read_text()
    assert "360 test images, one is 0.28 points" in page.with_name("report.md").read_text()


def test_files_are_written_and_say_the_same(tmp_path: Path) -> None:
    report = report_of(tmp_path)
    page = files.write(report, tmp_path / "out", best=True)
    html, markdown = page.read_text(), (tmp_path / "out" / "report.md").read_text()
    content = as_json.content(report)
    json.dumps(content, allow_nan=False)
    for verdict in content["verdicts"]:
        effect = f"{verdict['effect']:+.2f}".replace("-", "\N{MINUS SIGN}")
        assert effect in html
        assert effect in markdown
    for figure in (tmp_path / "out" / "figures").iterdir():
        assert f"figures/{figure.name}" in markdown
        assert figure.read_text().count("<svg") == 1
    names = {path.name.split("-")[0] for path in (tmp_path / "out" / "figures").iterdir()}
    assert names == {"accuracy", "difference", "density", "curves"}
    assert "Controls as expected: random 98%, rearranged" in html
    assert "<small>n = 5</small><small>best epoch 97.12 ±0.09</small>" in html


def test_the_page_needs_nothing_else(tmp_path: Path) -> None:
    html = files.write(report_of(tmp_path), tmp_path).read_text()
    assert "<script" not in html
    assert "default-src 'none'" in html
    links = re.findall(r"""(?:src|href)=["']([^"'#][^"']*)|url\((?!#)([^)]*)\)""", html)
    assert links == []


def test_results_have_a_row_a_run(tmp_path: Path) -> None:
    simulated.write(tmp_path / "runs", [Arm(seed=0), Arm(seed=1, check="rearrange")])
    simulated.write(tmp_path / "late", [Arm(rewind="epoch", epoch=3)])
    simulated.write(tmp_path / "failed", [Arm(seed=2)])
    failed = simulated.record(Arm(), status="failed", reason="no, no")
    simulated.rewrite(tmp_path / "failed", failed)
    files.write(make([tmp_path]), tmp_path)
    with (tmp_path / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4
    assert [row["status"] for row in rows].count("completed") == 3
    by_status = {row["status"]: row for row in rows}
    assert by_status["failed"]["reason"] == "no, no"
    assert {row["rewind.epoch"] for row in rows} <= {"", "3", "3.0"}
    done = next(row for row in rows if row["sanity_check"] == "rearrange")
    assert (done["seed"], done["sparsity"], done["test_accuracy"]) == ("1", "0.98", "97.0")


def test_tables_are_high_rather_than_wide(tmp_path: Path) -> None:
    arms = [Arm(pruner=p, check=c) for p in ("lt", "snip", "grasp") for c in ("none", "reinit")]
    methods = make([simulated.write(tmp_path / "methods", arms)])
    found = matrix.verdicts(methods)
    assert found.corner == "method"
    assert [head.name for head, _ in found.rows] == ["lt 98%", "snip 98%", "grasp 98%"]
    battery = report_of(tmp_path)
    checks = matrix.verdicts(battery)
    assert checks.corner == "change"
    assert [head.name for head, _ in checks.rows] == [label for _, label in battery.columns]
    for _, entries in checks.rows:
        assert len(entries) == len(checks.columns) == 3


class Texts(HTMLParser):
    """The elements of a page, and whether they are all closed."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        assert not any(name.startswith("on") for name, _ in attrs)


def test_nothing_in_a_record_is_markup(tmp_path: Path) -> None:
    arms = [Arm(pruner=EVIL, check=check, seed=seed) for check in ("none", EVIL) for seed in (0, 1)]
    simulated.write(tmp_path / "runs", [Arm(seed=seed) for seed in range(4)])
    paths = sorted((tmp_path / "runs").rglob("record.json"))
    for number, (arm, path) in enumerate(zip(arms, paths, strict=True)):
        content = simulated.record(arm, versions={EVIL: EVIL}, sweep=EVIL)
        content["metrics"]["test_accuracy"] += number * number / 10
        content["config"]["pruner"][EVIL] = EVIL
        content["choices"] |= {"dataset": EVIL, "arch": EVIL}
        content["check"]["effect"] = {EVIL: 3}
        content["ticket"]["layers"][0]["name"] = EVIL
        path.write_text(json.dumps(content))
    failed = simulated.record(Arm(), status="failed", reason=EVIL)
    (tmp_path / "runs" / "<b>x<b>").mkdir()
    (tmp_path / "runs" / "<b>x<b>" / "record.json").write_text(json.dumps(failed))
    report = make([tmp_path / "runs"])
    html = files.write(report, tmp_path / "out").read_text()
    plain_page = files.write(report_of(tmp_path / "usual"), tmp_path / "plain").read_text()
    found, usual = Texts(), Texts()
    found.feed(html)
    usual.feed(plain_page)
    assert set(found.names) <= set(usual.names) | {"ul", "li"}
    assert "&lt;script&gt;" in html
    assert "{{ 7*7 }}" in html, "what a record says is no template"
    markdown = (tmp_path / "out" / "report.md").read_text()
    assert "<script" not in markdown
    assert not re.search(r"(?<!\\)\[x\]\(javascript", markdown)
    assert not re.search(r"^# \{", markdown, re.M)
    assert all(
        re.fullmatch(r"[a-z0-9._-]+\.svg", f.name) for f in (tmp_path / "out/figures").iterdir()
    )
    for figure in (tmp_path / "out" / "figures").iterdir():
        assert "<script" not in figure.read_text()
        ElementTree.fromstring(figure.read_text())
    everything = [html, markdown, printed(report), (tmp_path / "out" / "results.csv").read_text()]
    assert all(
        "alert" in text and not re.search("[\x00-\x08\x0b-\x1f\x7f]", text) for text in everything
    )
    with (tmp_path / "out" / "results.csv").open(newline="") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    assert not any(cell.startswith(("=", "+", "-", "@")) for cell in cells)


@pytest.mark.parametrize("arms", [[], [Arm(accuracy=None)], [Arm()], [Arm(dense=None)]])
def test_little_is_reported_too(arms: list[Arm], tmp_path: Path) -> None:
    simulated.write(tmp_path, arms)
    failed = simulated.record(Arm(), status="failed", reason="broke")
    (tmp_path / "failed").mkdir()
    (tmp_path / "failed" / "record.json").write_text(json.dumps(failed))
    report = make([tmp_path])
    html = files.write(report, tmp_path).read_text()
    assert "broke" in html
    assert "broke" in printed(report)
    assert "Nothing was compared" in printed(report)
    assert "Nothing was compared" in html
    assert "broke" in (tmp_path / "report.md").read_text()


def test_the_same_runs_give_the_same_files(tmp_path: Path) -> None:
    report = report_of(tmp_path)
    for name in ("a", "b"):
        files.write(report, tmp_path / name)
    for one in (tmp_path / "a").rglob("*.*"):
        assert one.read_bytes() == (tmp_path / "b" / one.relative_to(tmp_path / "a")).read_bytes()


def test_every_panel_has_a_file_of_its_own(tmp_path: Path) -> None:
    arms = [
        Arm(arch=arch, check=check, sparsity=sparsity, seed=seed, accuracy=95.0 + seed)
        for arch in ("α", "β", "Net", "net", "a_b", "a-b", "x" * 90 + "1", "x" * 90 + "2")
        for check in ("none", "rearrange")
        for sparsity in (0.9, 0.95)
        for seed in (0, 1)
    ]
    sections = draw(make([simulated.write(tmp_path, arms)]))
    names = [panel.name for section in sections.values() for panel in section.panels]
    assert len(names) > 40
    assert len({name.lower() for name in names}) == len(names)


def test_pictures_of_an_earlier_report_go(tmp_path: Path) -> None:
    report = report_of(tmp_path)
    (tmp_path / "out" / "figures").mkdir(parents=True)
    for name in ("accuracy-old.svg", "mine.svg"):
        (tmp_path / "out" / "figures" / name).touch()
    files.write(report, tmp_path / "out")
    names = {path.name for path in (tmp_path / "out" / "figures").iterdir()}
    assert "mine.svg" in names
    assert "accuracy-old.svg" not in names


def test_pdfs_are_vectors_with_their_letters_and_without_dates(tmp_path: Path) -> None:
    panels = [one for section in draw(report_of(tmp_path)).values() for one in section.panels]
    assert len(panels) > 5
    for panel in panels:
        content = panel.pdf
        assert b"/FontFile2" in content, "embedded as TrueType"
        assert b"/Type3" not in content
        assert b"/Subtype /Image" not in content
        assert b"Date" not in content
        assert b"/Creator (sanity.report)" in content
    assert len({panel.pdf for panel in panels}) == len(panels)


DRAW = """
import sys
from pathlib import Path
from sanity.report.output import files
from sanity.report.report import make
files.write(make([Path(sys.argv[1])]), Path(sys.argv[2]), pdf=True)
"""


def test_another_process_draws_the_same_pdfs(tmp_path: Path) -> None:
    runs = simulated.write(tmp_path / "runs", [Arm(), Arm(check="reinit", pruner="é × α")])
    files.write(make([runs]), tmp_path / "1", pdf=True)
    command = [sys.executable, "-c", DRAW, str(runs), str(tmp_path / "2")]
    subprocess.run(command, env=os.environ | {"PYTHONHASHSEED": "7"}, cwd=PROJECT, check=True)
    found = sorted((tmp_path / "1" / "figures").glob("*.pdf"))
    assert len(found) == len(list((tmp_path / "1" / "figures").glob("*.svg"))) > 2
    for path in found:
        assert path.read_bytes() == (tmp_path / "2" / "figures" / path.name).read_bytes()


def test_pdfs_of_an_earlier_report_go_and_ones_own_stay(tmp_path: Path) -> None:
    report, figures = report_of(tmp_path), tmp_path / "out" / "figures"
    files.write(report, tmp_path / "out", pdf=True)
    drawn = {path.name for path in figures.glob("*.pdf")}
    assert {Path(name).stem for name in drawn} == {path.stem for path in figures.glob("*.svg")}
    (figures / "accuracy-mine.pdf").write_bytes(b"%PDF-1.4 of another program")
    files.write(report, tmp_path / "out")
    assert [path.name for path in figures.glob("*.pdf")] == ["accuracy-mine.pdf"]


def test_a_page_says_what_to_cite(tmp_path: Path) -> None:
    html = files.write(report_of(tmp_path), tmp_path / "out").read_text()
    markdown = (tmp_path / "out" / "report.md").read_text()
    for text in (html, markdown):
        assert "To cite: references.bib has entries for what these runs used." in text
    assert (tmp_path / "out" / "references.bib").read_text().startswith("% Written by sanity.")


def test_hundreds_of_contexts_are_not_all_drawn(tmp_path: Path) -> None:
    arms = [Arm(arch=f"net{number}", seed=s) for number in range(30) for s in (0, 1)]
    sections = draw(make([simulated.write(tmp_path, arms)]))
    assert len(sections["densities"].panels) == LIMIT
    assert f"The first {LIMIT} of these pictures" in sections["densities"].text


def test_a_network_without_any_weight_is_drawn_as_what_it_is(tmp_path: Path) -> None:
    content = simulated.record(Arm())
    content["ticket"] |= {"kept": 0, "sparsity": 1.0}
    for layer in content["ticket"]["layers"]:
        layer["kept"] = 0
    simulated.write(tmp_path, [Arm()])
    simulated.rewrite(tmp_path, content)
    (panel,) = draw(make([tmp_path]))["densities"].panels
    assert "lowest: empty" in panel.alt


def test_a_terminal_says_which_context_a_row_is_of(tmp_path: Path) -> None:
    simulated.write(tmp_path, [Arm(), Arm(arch="vgg11")])
    table = printed(make([tmp_path])).split("test accuracy")[1]
    assert "digits resnet8" in table
    assert "digits vgg11" in table
