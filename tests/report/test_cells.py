"""Runs find their place: what differs in nothing but the seed stands together, and is named."""

from pathlib import Path
from typing import Any

import simulated
from simulated import Arm

from sanity.report.data.cells import Cell
from sanity.report.data.collect import collect
from sanity.report.data.grouping import group_runs


def cells(tmp_path: Path, *arms: Arm) -> list[Cell]:
    return group_runs(collect([simulated.write(tmp_path, arms)]).runs)[0]


def changed(root: Path, name: str, arm: Arm, **config: Any) -> None:
    """A run whose configuration differs from the simulated one in some groups."""
    content = simulated.record(arm)
    for group, values in config.items():
        content["config"][group] = {**content["config"].get(group, {}), **values}
    simulated.write(root / name, [arm])
    simulated.rewrite(root / name, content)


def test_seeds_and_checks_of_a_method_are_one_cell(tmp_path: Path) -> None:
    (cell,) = cells(
        tmp_path, *(Arm(check=c, seed=s) for c in ("rearrange", "none") for s in (1, 0))
    )
    assert cell.label == "lt 98%"
    assert cell.detail == "lt × global, from init"
    assert [(arm.label, list(arm.runs)) for arm in cell.arms.values()] == [
        ("as found", [0, 1]),
        ("rearranged", [0, 1]),
    ]


def test_ratio_and_rewind_are_named_only_where_they_tell_methods_apart(tmp_path: Path) -> None:
    found = cells(
        tmp_path,
        Arm(pruner="snip"),
        Arm(pruner="lt"),
        Arm(pruner="lt", ratio="erk"),
        Arm(pruner="random"),
        Arm(pruner="random", rewind="learning_rate"),
    )
    assert [cell.method for cell in found] == [
        "snip",
        "lt × global",
        "lt × erk",
        "random, from init",
        "random, LR rewound",
    ]


def test_settings_name_what_choices_do_not_tell_apart(tmp_path: Path) -> None:
    changed(tmp_path, "a", Arm(), training={"lr": 0.1}, pruner={"power": 1})
    changed(tmp_path, "b", Arm(), training={"lr": 0.2}, pruner={"power": 1})
    changed(tmp_path, "c", Arm(), training={"lr": 0.2}, pruner={"power": 2})
    changed(tmp_path, "d", Arm(check="half_dataset"), sanity_check={"fraction": 0.5})
    changed(tmp_path, "e", Arm(check="half_dataset"), sanity_check={"fraction": 0.2})
    found, notes = group_runs(collect([tmp_path]).runs)
    assert notes == []
    assert [(cell.context.label, cell.method) for cell in found[:3]] == [
        ("digits resnet8 (lr=0.1)", "lt (power=1)"),
        ("digits resnet8 (lr=0.2)", "lt (power=1)"),
        ("digits resnet8 (lr=0.2)", "lt (power=2)"),
    ]
    labels = [label for cell in found for label in cell.arms if "half" in label]
    assert labels == ["half the data (fraction=0.5)", "half the data (fraction=0.2)"]


def test_what_does_not_change_a_result_does_not_part_runs(tmp_path: Path) -> None:
    content = simulated.record(Arm(seed=1))
    content["config"] |= {"device": "cuda", "threads": 4, "data_dir": "/elsewhere", "until": "x"}
    simulated.write(tmp_path, [Arm(seed=0), Arm(seed=1)])
    simulated.rewrite(tmp_path / "1_lt_none_s1", content)
    (cell,) = group_runs(collect([tmp_path]).runs)[0]
    assert list(cell.arms["as found"].runs) == [0, 1]


def test_dense_accuracies_are_the_contexts_and_only_clean_ones(tmp_path: Path) -> None:
    clean = simulated.write(tmp_path / "clean", [Arm(seed=0, dense=99.0)])
    corrupt = Arm(seed=1, check="corrupted_data", dense=30.0)
    simulated.write(tmp_path / "corrupt", [corrupt])
    content = simulated.record(corrupt)
    content["stages"]["train_dense"] = {"key": "x", "perturbed": True}
    simulated.rewrite(tmp_path / "corrupt", content)
    baseline = Arm(pruner="dense", sparsity=0.0, seed=2, dense=98.0, accuracy=98.0)
    simulated.write(tmp_path / "dense", [baseline])
    found = group_runs(collect([clean, tmp_path / "corrupt", tmp_path / "dense"]).runs)[0]
    assert [cell.method for cell in found] == ["lt"], "a dense network is no cell of its own"
    assert found[0].context.dense == {0: 99.0, 2: 98.0}


def test_the_same_result_in_two_directories_counts_once_and_another_one_is_said(
    tmp_path: Path,
) -> None:
    simulated.write(tmp_path / "a", [Arm(accuracy=90.0)])
    simulated.write(tmp_path / "b", [Arm(accuracy=90.0)])
    (cell,), notes = group_runs(collect([tmp_path]).runs)
    assert cell.arms["as found"].accuracies == {0: 90.0}
    assert notes == []
    other = simulated.record(Arm(accuracy=80.0))
    other["stages"]["train_ticket"]["key"] = "another"
    simulated.write(tmp_path / "c", [Arm()])
    simulated.rewrite(tmp_path / "c", other)
    (cell,), notes = group_runs(collect([tmp_path]).runs)
    assert cell.arms["as found"].accuracies == {0: 80.0}, "the later one counts"
    assert "different results" in notes[0]


def test_a_run_that_stopped_at_its_mask_gives_way_to_one_that_was_trained(tmp_path: Path) -> None:
    simulated.write(tmp_path / "a", [Arm(accuracy=90.0)])
    simulated.write(tmp_path / "b", [Arm(accuracy=None)])
    (cell,), notes = group_runs(collect([tmp_path]).runs)
    assert cell.arms["as found"].accuracies == {0: 90.0}
    assert notes == []


def test_arms_and_methods_whose_names_would_be_the_same_are_numbered(tmp_path: Path) -> None:
    changed(tmp_path, "a", Arm(check="mine"), sanity_check={"power": 1})
    changed(tmp_path, "b", Arm(check="mine"), sanity_check={"power": "1"})
    changed(tmp_path, "c", Arm(check="other"), sanity_check={"options": {}})
    changed(tmp_path, "d", Arm(check="other"))
    changed(tmp_path, "e", Arm(check="random_ticket"))
    (cell,) = group_runs(collect([tmp_path]).runs)[0]
    assert list(cell.arms) == [
        "random_ticket",
        "mine (power=1)",
        "mine (power=1) #2",
        "other (options={})",
        "other",
    ]


def test_whole_numbers_are_the_same_however_they_are_written(tmp_path: Path) -> None:
    changed(tmp_path, "a", Arm(seed=0), training={"lr": 1})
    changed(tmp_path, "b", Arm(seed=1), training={"lr": 1.0})
    (cell,) = group_runs(collect([tmp_path]).runs)[0]
    assert list(cell.arms["as found"].runs) == [0, 1]


def from_files(root: Path, **paths: str) -> list[Cell]:
    """The cells of runs by seed (``s0``), each of a mask from the file that is named."""
    for name, path in paths.items():
        arm = Arm(pruner="from_checkpoint", seed=int(name[1:]))
        content = simulated.record(arm)
        content["config"]["pruner"]["path"] = path
        content["config"]["ratio"]["sparsity"] = None
        content["ticket"]["sparsity"] = 0.9 + arm.seed / 5000
        simulated.write(root / name, [arm])
        simulated.rewrite(root / name, content)
    return group_runs(collect([root]).runs)[0]


def test_masks_that_come_with_their_own_sparsity_a_file_a_seed_are_one_cell(
    tmp_path: Path,
) -> None:
    (cell,) = from_files(tmp_path, s0="run_{seed}/mask_10.pt", s1="run_{seed}/mask_10.pt")
    assert list(cell.arms["as found"].runs) == [0, 1]
    assert cell.label == "from_checkpoint 90.01%"


def test_no_digit_of_a_path_is_taken_for_a_seed(tmp_path: Path) -> None:
    (cell,) = from_files(tmp_path / "a", **dict.fromkeys(("s0", "s2", "s8"), "v2/lr0.1/resnet8.pt"))
    assert list(cell.arms["as found"].runs) == [0, 2, 8], "one ticket, trained with three seeds"
    found = from_files(tmp_path / "b", s0="run_0.pt", s1="run_1.pt")
    assert [list(cell.arms["as found"].runs) for cell in found] == [[0], [1]]


def test_a_folder_is_called_by_its_name(tmp_path: Path) -> None:
    changed(tmp_path, "a", Arm(dataset="folder"), dataset={"name": "flowers"})
    (cell,) = group_runs(collect([tmp_path]).runs)[0]
    assert cell.context.label == "flowers resnet8"


def test_other_figures_under_the_same_keys_are_said_too(tmp_path: Path) -> None:
    simulated.write(tmp_path / "a", [Arm(accuracy=90.0)])
    simulated.write(tmp_path / "b", [Arm(accuracy=91.0)])
    _, (note,) = group_runs(collect([tmp_path]).runs)
    assert "different results" in note
    assert note.endswith("counts")
