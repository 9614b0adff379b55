"""A report says what makes its numbers worth less."""

from pathlib import Path

import pytest
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


def by(root: Path, arm: Arm, engine: str, device: str = "cpu") -> None:
    """A run whose ticket was trained by that engine on that device, as it was asked to."""
    content = simulated.record(arm)
    how = {"engine": engine, "device": device, "threads": 1}
    content["stages"]["train_ticket"] = {"key": "0" * 20, "reused": False, "computed_by": how}
    content["config"]["training"] = {"epochs": 15, "engine": engine}
    simulated.write(root / f"{arm.check}{arm.seed}", [arm])
    simulated.rewrite(root / f"{arm.check}{arm.seed}", content)


def test_tickets_of_one_comparison_by_several_engines_are_pointed_out(tmp_path: Path) -> None:
    for seed in (0, 1):
        by(tmp_path, Arm(seed=seed), "dense")
        by(tmp_path, Arm(seed=seed, check="rearrange"), "sparse")
    report = make([tmp_path])
    (cell,) = report.cells  # the engine parts nothing
    assert report.notes == (
        f"{cell.context.label}, {cell.label}: some tickets were trained by the dense engine on cpu "
        "and the sparse engine on cpu, which compute the same with other rounding",
    )
    for seed in (0, 1):
        by(tmp_path / "other", Arm(seed=seed), "sparse")
        by(tmp_path / "other", Arm(seed=seed, check="rearrange"), "sparse")
    assert make([tmp_path / "other"]).notes == ()


def test_otherwise_nothing_is_said(tmp_path: Path) -> None:
    ticket = {"sparsity": 0.9805, "kept": 19, "total": 1000, "layers": []}
    record = simulated.record(Arm(), ticket=ticket)
    simulated.write(tmp_path, [Arm()])
    simulated.rewrite(tmp_path, record)
    assert make([tmp_path]).notes == ()


def with_config(root: Path, arm: Arm, group: str, **values: object) -> None:
    """A run with other settings of a group, in a directory of its own."""
    content = simulated.record(arm)
    content["config"][group] = {**content["config"][group], **values}
    simulated.write(root / str(arm.seed), [arm])
    simulated.rewrite(root / str(arm.seed), content)


@pytest.mark.parametrize(("group", "name"), [("pruner", "path"), ("arch", "init_from")])
def test_paths_that_differ_from_seed_to_seed_are_pointed_out(
    group: str, name: str, tmp_path: Path
) -> None:
    hint = f"{group}.{name} is another one for every seed, so that each counts as a method"
    for seed in (0, 1):
        with_config(tmp_path / "a", Arm(seed=seed), group, **{name: f"ticket_{seed}.pt"})
        with_config(tmp_path / "b", Arm(seed=seed), group, **{name: "ticket_{seed}.pt"})
        with_config(tmp_path / "c" / str(seed), Arm(seed=0), group, **{name: f"{seed}.pt"})
    assert any(note.startswith(hint) for note in make([tmp_path / "a"]).notes)
    assert make([tmp_path / "b"]).notes == ()
    assert make([tmp_path / "c"]).notes == (), "one seed of two tickets"


def test_networks_that_guess_are_named_tickets_and_dense_ones(tmp_path: Path) -> None:
    config = {"num_classes": 10}
    for seed, accuracy in ((0, 10.0), (1, 60.0)):
        arm = Arm(seed=seed, accuracy=accuracy, dense=11.0)
        with_config(tmp_path, arm, "dataset", **config)
    assert make([tmp_path]).notes == (
        "no better than guessing (10%): digits resnet8, lt 98%, as found (1 of 2 seeds); the dense "
        "network of digits resnet8 (2 of 2 seeds)",
    )


def test_the_largest_class_of_the_test_set_is_what_guessing_gives(tmp_path: Path) -> None:
    data = {"overlap": 0, "test_images": 400, "largest_class": 360}
    content = simulated.record(Arm(accuracy=91.0), data=data)
    content["config"]["dataset"]["num_classes"] = 3
    simulated.write(tmp_path, [Arm()])
    simulated.rewrite(tmp_path, content)
    (note,) = make([tmp_path]).notes
    assert note.startswith("no better than guessing (90%): digits resnet8, lt 98%, as found (1 of")


def test_masks_that_ties_decided_are_named_and_a_handful_is_not(tmp_path: Path) -> None:
    for seed, arbitrary in ((0, 476), (1, 4)):
        content = simulated.record(Arm(seed=seed))
        content["ticket"]["ties"] = {"tied": 5000, "arbitrary": arbitrary}
        simulated.write(tmp_path / str(seed), [Arm(seed=seed)])
        simulated.rewrite(tmp_path / str(seed), content)
    assert make([tmp_path]).notes == (
        "equal scores leave to the order of the weights which of them are kept, up to 50.0% of "
        "digits resnet8, lt 98%, as found (1 of 2 seeds)",
    )
