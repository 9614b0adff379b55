"""``python -m sanity.report``: what it writes where, and its exit codes."""

import json
from pathlib import Path

import pytest
import simulated
from simulated import Arm

from sanity.report.__main__ import main


def test_of_one_directory_the_files_lie_in_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    simulated.write(tmp_path, simulated.battery(3))
    assert main([str(tmp_path)]) == 0
    assert f"report: {tmp_path}/report.html" in capsys.readouterr().out
    names = {path.name for path in tmp_path.iterdir() if not path.name[0].isdigit()}
    assert names == {"report.html", "report.md", "results.csv", "references.bib", "figures"}
    assert main([str(tmp_path)]) == 0, "a report is no run, and may be written again"


def test_of_several_the_files_lie_here_or_where_one_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    places = [str(simulated.write(tmp_path / name, [Arm()])) for name in ("a", "b")]
    assert main(places) == 0
    assert (tmp_path / "report" / "report.html").exists()
    assert main([*places, "--output", "elsewhere/deep"]) == 0
    assert (tmp_path / "elsewhere" / "deep" / "results.csv").exists()


def test_json_is_all_there_is_on_stdout_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    simulated.write(tmp_path, simulated.battery())
    before = sorted(tmp_path.rglob("*"))
    assert main([str(tmp_path), "--format", "json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert sorted(tmp_path.rglob("*")) == before
    assert content["controls"]["state"] == "holds"
    found = {(one["pruner"], one["check"]): one["verdict"] for one in content["verdicts"]}
    assert found[("random", "rearrange")] == "does not depend"
    arms = {arm["check"]: arm for arm in content["cells"][0]["arms"]}
    assert arms["none"]["last"]["n"] == 5
    assert set(arms["none"]["last"]["seeds"]) == {"0", "1", "2", "3", "4"}


def test_tables_are_all_there_is_on_stdout(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    simulated.write(tmp_path, simulated.battery())
    before = sorted(tmp_path.rglob("*"))
    made = f"python -m sanity.report {tmp_path} --margin 0.25 --best --format"
    options = ["--margin", "0.25", "--best", "--format"]
    assert main([str(tmp_path), *options, "latex"]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"% Made by: {made} latex\n")
    assert text.endswith("\\end{table}\n")
    assert main([str(tmp_path), *options, "markdown"]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"Made by\n\n    {made} markdown\n")
    assert "| as found | 97.02 ±0.09<br>n = 5<br>best epoch 97.12 ±0.09 |" in text
    assert sorted(tmp_path.rglob("*")) == before


def test_figures_for_a_paper_are_written_where_they_are_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    simulated.write(tmp_path, [Arm()])
    assert main([str(tmp_path)]) == 0
    assert not list(tmp_path.rglob("*.pdf"))
    assert main([str(tmp_path), "--pdf", "--format", "latex"]) == 0
    assert "report:" not in capsys.readouterr().out.partition("% Made")[2]
    figures = {path.stem for path in (tmp_path / "figures").iterdir()}
    assert figures
    for name in figures:
        assert (tmp_path / "figures" / f"{name}.svg").is_file()
        assert (tmp_path / "figures" / f"{name}.pdf").read_bytes().startswith(b"%PDF-")


def test_a_bibliography_of_ones_own_is_not_replaced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    simulated.write(tmp_path / "runs", [Arm()])
    paper = tmp_path / "paper"
    paper.mkdir()
    (paper / "references.bib").write_text("@misc{mine}\n")
    assert main([str(tmp_path / "runs"), "--output", str(paper)]) == 1
    assert "references.bib is not a report's and would be replaced" in capsys.readouterr().err
    assert [path.name for path in paper.iterdir()] == ["references.bib"]
    assert (paper / "references.bib").read_text() == "@misc{mine}\n"


def test_unreadable_records_are_named_and_the_rest_is_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    simulated.write(tmp_path, simulated.battery(2))
    broken = next(tmp_path.rglob("record.json"))
    broken.write_text("{")
    assert main([str(tmp_path)]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"sanity.report: {broken}: is damaged")
    assert str(broken) in (tmp_path / "report.html").read_text()
    assert main([str(tmp_path), "--format", "json"]) == 1
    content = json.loads(capsys.readouterr().out)
    assert str(broken) in content["unreadable"][0]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["nowhere"], 1, "nowhere: has no run or sweep in it or below"),
        (["runs", "--margin", "-1"], 2, "verdict.margin=-1.0: must be above 0"),
        (["runs", "--output", "runs/taken/report"], 1, "cannot be written to runs/taken/report"),
    ],
)
def test_mistakes_are_one_line(
    arguments: list[str],
    code: int,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    simulated.write(tmp_path / "runs", [Arm()])
    (tmp_path / "runs" / "taken").touch()
    assert main(arguments) == code
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_the_exit_code_is_0_whatever_the_verdict(tmp_path: Path) -> None:
    arms = [
        *simulated.seeds(3, 0, 0.1, 1, pruner="random"),
        *simulated.seeds(3, -9, 0.1, 2, pruner="random", check="rearrange"),
    ]
    assert main([str(simulated.write(tmp_path, arms))]) == 0
