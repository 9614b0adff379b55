"""What an epoch takes, by stored trainings of idle and busy machines."""

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import Run

from sanity.stages.stage import costs_like
from sanity.sweep.pace import Capacity, Span, kind_of, paces

TICKET = costs_like("train_ticket", "w")
TWO = Capacity(workers=2, threads=1, device="cpu")


def stored(store: Path, seconds: float, how: Any, kind: str = "train_ticket") -> None:
    entry = store / kind / str(len(list(store.glob("*/*"))))
    entry.mkdir(parents=True)
    facts: dict[str, Any] = {"workload": "w", "epochs": [{"seconds": seconds}] * 3}
    if how is not None:
        facts["computed_by"] = how
    (entry / "manifest.json").write_text(json.dumps({"facts": facts}))


def by(share: float, threads: int = 1, device: str = "cpu") -> dict[str, Any]:
    return {"device": device, "threads": threads, "cpu_share": share}


def test_on_an_idle_machine_clock_and_cpu_time_agree(tmp_path: Path) -> None:
    stored(tmp_path, 2.0, by(0.99))
    pace, _ = paces(tmp_path, TWO).values()
    assert not pace.seconds.is_wide
    assert str(pace.seconds * 60) == "about 2 minutes"


def test_of_a_busy_machine_the_bounds_are_told(tmp_path: Path) -> None:
    stored(tmp_path, 8.0, by(0.25))
    pace, _ = paces(tmp_path, TWO).values()
    assert pace.seconds == Span(2.0, 8.0)
    assert str(pace.seconds * 60) == "2 to 8 minutes"


def test_fewer_threads_take_longer_and_more_may_take_less(tmp_path: Path) -> None:
    stored(tmp_path, 3.0, by(3.0, threads=4))
    assert paces(tmp_path, TWO)[TICKET].seconds == Span(9.0, 12.0)
    eight = Capacity(workers=1, threads=8, device="cpu")
    assert paces(tmp_path, eight)[TICKET].seconds == Span(1.125, 3.0)


def test_a_gpus_trainings_say_nothing_of_a_cpu(tmp_path: Path) -> None:
    stored(tmp_path, 0.1, by(1.0, device="cuda"))
    assert paces(tmp_path, TWO) == {}
    assert paces(tmp_path, Capacity(2, 1, "cuda"))[TICKET].seconds == Span(0.1, 0.1)
    assert paces(tmp_path, Capacity(2, 1, None))[TICKET].samples == 1


@pytest.mark.parametrize(
    "wrong", [None, "x", 3, [], {"device": "cpu"}, {"threads": {}, "cpu_share": 1}]
)
def test_damaged_facts_are_passed_over(tmp_path: Path, wrong: Any) -> None:
    stored(tmp_path, 5.0, wrong)
    stored(tmp_path, 2.0, by(1.0))
    assert paces(tmp_path, TWO)[TICKET].samples == 1


def test_the_middle_of_many_counts(tmp_path: Path) -> None:
    for share in (0.5, 0.5, 0.1):
        stored(tmp_path, 1 / share, by(share))
    found = paces(tmp_path, TWO)[TICKET]
    assert (found.seconds, found.samples) == (Span(1.0, 2.0), 3)


def test_tickets_and_dense_networks_have_a_pace_each(tmp_path: Path) -> None:
    stored(tmp_path, 1.0, by(1.0))
    dense = costs_like("train_dense", "w")
    found = paces(tmp_path, TWO)
    assert found[dense] is found[TICKET]  # nothing better is known
    stored(tmp_path, 4.0, by(1.0), "train_dense")
    found = paces(tmp_path, TWO)
    assert (found[dense].seconds, found[TICKET].seconds) == (Span(4.0, 4.0), Span(1.0, 1.0))


def test_a_device_setting_is_a_kind() -> None:
    assert kind_of("cuda:1") == "cuda"
    assert kind_of("cpu") == "cpu"
    assert kind_of("nonsense") is None


def test_a_training_notes_what_it_took_beside_the_clock(run: Run) -> None:
    record = run("pruner=random")
    store, key = Path(record["config"]["store_dir"]), record["stages"]["train_ticket"]["key"]
    manifest = json.loads((store / "train_ticket" / key / "manifest.json").read_text())
    how = manifest["facts"]["computed_by"]
    assert (how["engine"], how["device"], how["threads"]) == ("dense", "cpu", 1)
    assert 0 < how["cpu_share"] < 2
    stages = record["stages"]
    assert stages["train_ticket"]["computed_by"] == how
    assert stages["prune"]["computed_by"] == {"device": "cpu", "threads": 1}
    pace, _ = paces(store, TWO).values()
    assert 0 < pace.seconds.low <= pace.seconds.high
