"""What a report cites: what its runs used, by entries that are whole."""

import json
import re
from pathlib import Path
from typing import Any

import hydra.utils
import pytest
import simulated
from options import load_option, options
from simulated import Arm

import sanity
from sanity.core.option import Option
from sanity.report.output import as_bibtex
from sanity.report.report import Report, make

GROUPS = list(as_bibtex.PACKAGES)
REQUIRED = {
    "article": {"author", "title", "journal", "volume", "pages", "year"},
    "inproceedings": {"author", "title", "booktitle", "year"},
    "techreport": {"author", "title", "institution", "year"},
    "misc": {"author", "title", "year"},
}


def kind_of(group: str, option: str) -> type[Option]:
    target = load_option(group, option)["_target_"]
    if target.endswith(".network"):  # of a library, which is no publication
        return Option
    kind = hydra.utils.get_class(target)
    assert issubclass(kind, Option)
    return kind


@pytest.mark.parametrize("group", GROUPS)
def test_every_key_has_an_entry(group: str) -> None:
    for option in options(group):
        missing = {*kind_of(group, option).cites} - as_bibtex.bibliography().keys()
        assert not missing, option


def test_every_entry_is_cited_by_something() -> None:
    cited = {key for group in GROUPS for one in options(group) for key in kind_of(group, one).cites}
    known = as_bibtex.bibliography().keys()
    assert known == cited | {*as_bibtex.SOFTWARE, *as_bibtex.STATISTICS}


def test_entries_are_whole() -> None:
    text = as_bibtex.FILE.read_text()
    assert text.isascii(), "older BibTeX knows no other letters"
    entries = as_bibtex.bibliography()
    assert len(entries) == text.count("@")
    assert "\n".join(entries.values()) == text
    for key, entry in entries.items():
        kind = entry[1 : entry.index("{")]
        fields = dict(re.findall(r"^  (\w+) = \{(.*)\},?$", entry, re.M))
        assert fields.keys() >= REQUIRED[kind], key
        assert len(fields) == entry.count(" = ")
        assert entry.count("{") == entry.count("}")
        assert re.fullmatch(r"\d{4}", fields["year"])
        assert not re.search(r"(?<!\\)[%#&$_]", re.sub(r"(?m)^  doi = .*$", "", entry)), key
        if key not in ("sanity",):  # surname, year and a word, as everybody makes them
            surname = fields["author"].split(",")[0].lower()
            assert re.fullmatch(rf"{surname}{fields['year']}[a-z]+", key)


def report_of(tmp_path: Path, *changes: dict[str, Any], **arm: Any) -> Report:
    """A report of runs of one arm; each of ``changes`` goes into a group's settings or choices."""
    for number, change in enumerate(changes or ({},)):
        content = simulated.record(Arm(seed=number, **arm))
        for name, settings in change.items():
            content["config"][name] |= settings
        root = simulated.write(tmp_path / str(number), [Arm()])
        simulated.rewrite(root, content)
    return make([tmp_path])


def keys(report: Report) -> list[str]:
    return re.findall(r"^@\w+\{(.*),$", as_bibtex.render(report), re.M)


def test_what_the_runs_used_is_cited_and_nothing_else(tmp_path: Path) -> None:
    snip = {
        "pruner": {"_target_": "sanity.pruners.snip.SNIP"},
        "ratio": {"_target_": "sanity.ratios.global_.Global"},
        "arch": {"_target_": "sanity.archs.vgg.VGG"},
        "dataset": {"_target_": "sanity.datasets.cifar100.Cifar100"},
        "rewind": {"_target_": "sanity.rewinds.epoch.Epoch"},
        "sanity_check": {"_target_": "sanity.checks.reinit.Reinit"},
    }
    found = keys(report_of(tmp_path, snip))
    assert found == [
        *("sanity", "su2020sanity", "krizhevsky2009learning", "simonyan2015very", "lee2019snip"),
        *("frankle2021pruning", "frankle2020linear"),
    ]


def test_tests_are_cited_where_there_are_verdicts(tmp_path: Path) -> None:
    found = keys(make([simulated.write(tmp_path, simulated.battery())]))
    assert {"schuirmann1987comparison", "holm1979simple"} <= {*found}
    assert "renda2020comparing" in found
    assert "evci2020rigging" not in found


def test_the_pruner_whose_counts_are_copied_is_cited(tmp_path: Path) -> None:
    for number, of in enumerate(("synflow", "sanity.pruners.synflow.SynFlow")):
        copied = {"ratio": {"of": of, "_target_": "sanity.ratios.like.Like"}}
        report = report_of(tmp_path / str(number), copied, pruner="random", ratio="like")
        assert "tanaka2020pruning" in keys(report)


def test_ones_own_options_are_not_taken_for_ours(tmp_path: Path) -> None:
    mine = {"pruner": {"_target_": "mine.snip.SNIP"}, "arch": {"_target_": "mine.resnet.ResNet"}}
    found = keys(report_of(tmp_path, mine, pruner="snip", arch="resnet"))
    assert "lee2019snip" not in found
    assert "he2016deep" not in found


def test_the_version_is_that_of_the_runs(tmp_path: Path) -> None:
    simulated.write(tmp_path, [Arm()])
    content = simulated.record(Arm(), versions={"sanity": "9.9_rc}1"})
    simulated.rewrite(tmp_path, content)
    # BibTeX counts braces whatever stands before them, so that a version has none.
    assert "version 9.9\\_rc1}" in as_bibtex.render(make([tmp_path]))
    del content["versions"]["sanity"]
    simulated.rewrite(tmp_path, content)
    text = as_bibtex.render(make([tmp_path]))
    assert f"version {sanity.__version__}}}" in text
    assert as_bibtex.VERSION not in text


def test_a_report_of_nothing_cites_the_software(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    failed = simulated.record(Arm(), status="failed", reason="broke")
    (tmp_path / "run" / "record.json").write_text(json.dumps(failed))
    assert keys(make([tmp_path])) == [*as_bibtex.SOFTWARE]
