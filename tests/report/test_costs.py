"""What tickets cost, and the computing behind them, as reports tell it."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import simulated
from simulated import Arm

from sanity.report.data.computing import computing
from sanity.report.data.footprints import costs
from sanity.report.data.runs import Run, read
from sanity.report.output import as_csv, as_json, files
from sanity.report.output import costs as words
from sanity.report.report import Report, make

FOOTPRINT = {"macs": 5, "dense_macs": 10, "bytes": 60, "dense_bytes": 80, "effective": 3}


def reported(tmp_path: Path, *records: dict[str, Any]) -> Report:
    for number, record in enumerate(records):
        (tmp_path / str(number)).mkdir(parents=True)
        (tmp_path / str(number) / "record.json").write_text(json.dumps(record))
    return make([tmp_path])


def with_footprint(footprint: Any, **arm: Any) -> dict[str, Any]:
    found = simulated.record(Arm(**arm))
    found["ticket"] |= {"footprint": footprint}
    return found


def old(**arm: Any) -> dict[str, Any]:
    """A record of an earlier version."""
    return simulated.record(Arm(**arm))


def test_the_table_has_means_over_the_runs_of_an_arm(tmp_path: Path) -> None:
    one, other = with_footprint(FOOTPRINT, seed=0), with_footprint(FOOTPRINT, seed=1)
    one["ticket"] |= {"kept": 3, "total": 4000}
    other["ticket"] |= {"kept": 5, "total": 4000}
    other["ticket"]["footprint"] = FOOTPRINT | {"macs": 7, "bytes": 2440, "effective": 3}
    shown = words.tickets(reported(tmp_path, one, other))
    assert [row | {"method": "", "change": ""} for row in shown] == [
        {
            "method": "",
            "change": "",
            "kept": "4",
            "density": "0.10%",
            "MACs": "6 (60.00%)",
            "dense MACs": "10",
            "kB": "1.2",
            "dense kB": "0.1",
            "effective": "80.00%",
        }
    ]


def test_every_format_tells_it(tmp_path: Path) -> None:
    report = reported(
        tmp_path / "runs", with_footprint(FOOTPRINT), with_footprint(FOOTPRINT, check="rearrange")
    )
    page = files.write(report, tmp_path / "out")
    for text in (page.read_text(), (tmp_path / "out" / "report.md").read_text()):
        assert "Tickets" in text
        assert "two FLOPs each" in text
        assert "5 (50.00%)" in text
        assert "Computing: 2 tickets trained on cpu in 2 seconds" in text
    with (tmp_path / "out" / "results.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            assert {name: int(row[name]) for name in FOOTPRINT} == FOOTPRINT
    content = as_json.content(report)
    for arm in content["cells"][0]["arms"]:
        assert (arm["ticket"]["macs"], arm["ticket"]["dense_bytes"]) == (5, 80)
        assert arm["ticket"]["effective"] == 3 / arm["ticket"]["kept"]
    assert content["computing"]["devices"] == ("cpu",)


def test_earlier_records_leave_cells_empty(tmp_path: Path) -> None:
    report = reported(tmp_path / "runs", old(seed=0), old(seed=1))
    (row,) = words.tickets(report)
    assert row["density"] == "2.00%"
    assert row["MACs"] == row["dense MACs"] == row["kB"] == row["effective"] == ""
    assert "Tickets" in files.write(report, tmp_path / "out").read_text()
    assert as_csv.frame(report)["macs"].isna().all()
    assert as_json.content(report)["cells"][0]["arms"][0]["ticket"]["macs"] is None


def test_what_is_null_is_left_out_of_means(tmp_path: Path) -> None:
    unknown = {"macs": None, "dense_macs": None, "bytes": 60, "dense_bytes": 80, "effective": None}
    report = reported(
        tmp_path, with_footprint(FOOTPRINT, seed=0), with_footprint(unknown, seed=1), old(seed=2)
    )
    found = costs(report.runs)
    assert (found.macs, found.bytes) == (5, 60)
    assert found.effective == pytest.approx(3 / report.runs[0].ticket["kept"])  # type: ignore[index]


def test_many_tickets_are_folded(tmp_path: Path) -> None:
    arms = [Arm(sparsity=0.5 + number / 50) for number in range(13)]
    page = files.write(make([simulated.write(tmp_path / "runs", arms)]), tmp_path / "out")
    assert "<summary>13 kinds of tickets" in page.read_text()


@pytest.mark.parametrize(
    "footprint",
    [
        7,
        "<b>",
        FOOTPRINT | {"macs": 11},
        FOOTPRINT | {"macs": -1},
        FOOTPRINT | {"bytes": 1.5},
        FOOTPRINT | {"bytes": True},
        FOOTPRINT | {"bytes": 2**63},
        FOOTPRINT | {"effective": 10**6},
        {"macs": 3},
    ],
)
def test_what_no_ticket_can_cost_is_named(tmp_path: Path, footprint: Any) -> None:
    report = reported(tmp_path, with_footprint(footprint))
    assert not report.runs
    assert "footprint" in report.unreadable[0] or "is damaged" in report.unreadable[0]


@pytest.mark.parametrize("seconds", [-1, "1", True, 1e300, [1]])
def test_what_no_stage_can_take_is_named(tmp_path: Path, seconds: Any) -> None:
    record = simulated.record(Arm())
    record["stages"]["train_ticket"]["seconds"] = seconds
    assert "is damaged" in reported(tmp_path, record).unreadable[0]


def test_a_count_that_no_table_can_hold_is_named(tmp_path: Path) -> None:
    record = simulated.record(Arm())
    record["ticket"]["total"] = 10**400
    assert "no network can have" in reported(tmp_path, record).unreadable[0]


def staged(tmp_path: Path, **stages: dict[str, Any]) -> Run:
    tmp_path.mkdir()
    path = tmp_path / "record.json"
    path.write_text(json.dumps(simulated.record(Arm(), stages=stages)))
    found = read(path)
    assert isinstance(found, Run)
    return found


def stage(key: str, seconds: float | None = 10, device: str = "cpu") -> dict[str, Any]:
    return {"key": key, "seconds": seconds, "reused": True, "computed_by": {"device": device}}


def test_a_stage_that_runs_share_counts_once(tmp_path: Path) -> None:
    runs = [
        staged(tmp_path / "a", train_dense=stage("d"), prune=stage("p"), train_ticket=stage("t")),
        staged(
            tmp_path / "b",
            train_dense=stage("d"),
            prune_1=stage("p"),
            rewind_1=stage("r"),
            train_ticket_1=stage("t"),
            prune=stage("q", 2),
            train_ticket=stage("u", 3600, "cuda"),
        ),
    ]
    found = computing(runs)
    assert (found.dense, found.tickets) == (1, 2)
    assert (found.training, found.rest) == (3620, 22)
    assert found.devices == ("cpu", "cuda")
    assert found.is_known
    assert not computing([staged(tmp_path / "c", train_ticket=stage("v", None))]).is_known


def test_runs_that_trained_nothing_say_nothing(tmp_path: Path) -> None:
    pruned = simulated.record(Arm(accuracy=None), stages={"prune": stage("p")})
    report = reported(tmp_path / "runs", pruned)
    assert words.spent(report) == ""
    assert "Computing" not in files.write(report, tmp_path / "out").read_text()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *((0, "0"), (999.4, "999"), (999.6, "1.00 k"), (9_996, "10.0 k"), (40_016, "40.0 k")),
        *((99_960, "100 k"), (275_612_928, "276 M"), (999_600_000, "1.00 G")),
    ],
)
def test_counts_have_three_digits(value: float, text: str) -> None:
    assert words.large(value) == text
