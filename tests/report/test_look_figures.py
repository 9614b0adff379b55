"""How questions were decided, drawn and told in every form of a report."""

import re
from pathlib import Path

import pytest
from growing import DECIDED, begun, noisy, starting

from sanity.decide.run import run
from sanity.report.figures.gallery import draw
from sanity.report.output import as_json, files
from sanity.report.report import Report, make


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    place = tmp_path_factory.mktemp("grown") / "sweep"
    checks = "sanity_check=none,rearrange,reinit,shuffle_weights"
    effects = {"rearrange": 0.0, "reinit": 0.6, "shuffle_weights": -9.0}
    sweep = begun(place, *DECIDED, "pruner=lt", checks)
    assert run(sweep, starting(noisy(effects, 0.8))) is not None
    return make([place])


def test_every_question_shows_its_looks(report: Report) -> None:
    section = draw(report)["looks"]
    assert len(section.panels) == len(report.questions) == 3
    assert "looks after 4, 6, 9, 13, 19, 28 seeds" in section.text
    for panel, question in zip(section.panels, report.questions, strict=True):
        judgement = question.judgement
        seeds = [look.seeds for look in judgement.paired.looks]
        assert [int(one) for one in re.findall(r"(?:: |; )(\d+): \[", panel.alt)] == seeds
        assert panel.title.endswith(f"after {judgement.seeds} seeds")
        assert all(f">{count}<" in panel.svg for count in seeds)


def test_what_is_clear_ends_early_and_intervals_shrink(report: Report) -> None:
    found = {one.check: one.judgement for one in report.questions}
    assert found["shuffle_weights"].seeds < found["reinit"].seeds
    for judgement in found.values():
        widths = [high - low for low, high in (look.interval for look in judgement.paired.looks)]
        assert widths[-1] <= widths[0]


def test_all_forms_tell_of_it(report: Report, tmp_path: Path) -> None:
    page = files.write(report, tmp_path)
    html, markdown = page.read_text(), page.with_name("report.md").read_text()
    for text in (html, markdown):
        assert "How it was decided" in text
        assert "all looks at a growing number of seeds" in text
        assert "after 4 seeds" in text
    assert len(list((tmp_path / "figures").glob("looks-*.svg"))) == 3
    for one in as_json.content(report)["verdicts"]:
        assert next(look["seeds"] for look in one["looks"]) == 4
        assert one["decided_after"] is None or one["decided_after"] in (4, 6, 9, 13, 19, 28)
    assert '<meta http-equiv="refresh"' not in html
    assert '<meta http-equiv="refresh"' in files.write(report, tmp_path, goes_on=True).read_text()


def test_a_fixed_design_has_no_such_section(tmp_path: Path) -> None:
    import simulated

    fixed = make([simulated.write(tmp_path / "runs", simulated.battery())])
    assert "looks" not in draw(fixed)
