"""A report says what makes its numbers worth less."""

from pathlib import Path

import simulated
from simulated import Arm

from sanity.report.report import make


def notes(tmp_path: Path, **changes: object) -> tuple[str, ...]:
    simulated.write(tmp_path, [Arm(seed=seed) for seed in (0, 1)])
    simulated.write(tmp_path / "changed", [Arm(seed=2)])
    simulated.rewrite(tmp_path / "changed", simulated.record(Arm(seed=2), **changes))
    return make([tmp_path]).notes


def test_test_images_that_were_trained_on_are_counted(tmp_path: Path) -> None:
    found = notes(tmp_path, data={"overlap": 1234})
    assert "1,234 test images of digits are training images as well" in found


def test_a_sparsity_that_a_ratio_did_not_give_is_named(tmp_path: Path) -> None:
    ticket = {
        "sparsity": 0.5,
        "kept": 500,
        "total": 1000,
        "layers": [{"name": "conv1", "total": 1000, "kept": 500}],
    }
    assert "ratio=global gives a sparsity of 0.5 for 0.98" in notes(tmp_path, ticket=ticket)


def test_several_versions_are_named(tmp_path: Path) -> None:
    found = notes(tmp_path, versions=simulated.VERSIONS | {"torch": "1.0"})
    assert any(note.startswith("the runs used several versions: torch ") for note in found)


def test_otherwise_nothing_is_said(tmp_path: Path) -> None:
    ticket = {"sparsity": 0.9805, "kept": 19, "total": 1000, "layers": []}
    record = simulated.record(Arm(), ticket=ticket)
    simulated.write(tmp_path, [Arm()])
    simulated.rewrite(tmp_path, record)
    assert make([tmp_path]).notes == ()
