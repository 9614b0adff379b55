"""Every ready-made grid is planned as its file and sweeps/README.md say, without running it."""

import functools
import re
from collections import Counter
from pathlib import Path

import pytest
import torch
from hydra.types import RunMode
from options import options
from planning import loader_of, plan_of

from sanity.archs.resnet import ResNet
from sanity.core.config import PROJECT
from sanity.core.errors import ConfigError
from sanity.experiment.patterns import escaped
from sanity.networks.build import skeleton
from sanity.networks.layers import prunable_weights
from sanity.sweep.cost import cost_of
from sanity.sweep.plan import Plan

FILES = {path.stem: path for path in (PROJECT / "conf" / "sweep").glob("*.yaml")}
NAMES = sorted(FILES)
README = (PROJECT / "sweeps" / "README.md").read_text(encoding="utf-8")
ROW = re.compile(
    r"^\| \[`(\w+)`\]\(\.\./conf/sweep/(\w+)\.yaml\) \| [^|]+ \| [^|]+ "
    r"\| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \|$",
    re.M,
)
TABLE = {row[0]: row[1:] for row in ROW.findall(README)}
OF_THE_PAPER = [name for name in NAMES if "experiment" in FILES[name].read_text(encoding="utf-8")]
OF_THE_PAPER.remove("battery")  # mentions it as an example
OTHERS = ("from_checkpoint", "dense")  # needs a file; has no mask to check

OWN_PRUNER = """
from sanity.pruners.base import Pruner, Scores, Scoring


class Own(Pruner):
    def score(self, scoring: Scoring) -> Scores:
        return {name: weight.abs() for name, weight in scoring.weights.items()}
"""


@functools.cache
def planned(name: str) -> Plan:
    return plan_of(f"sweep={name}")


def test_the_readme_lists_every_grid_and_no_other() -> None:
    assert sorted(TABLE) == NAMES
    assert all(name == row[0] for name, row in TABLE.items())


@pytest.mark.parametrize("name", NAMES)
def test_a_grid_has_a_comment_a_title_and_needs_no_m(name: str) -> None:
    lines = FILES[name].read_text(encoding="utf-8").splitlines()
    assert lines[0] == "# @package _global_"
    assert re.match(r"# [A-Z]", lines[1])
    assert max(map(len, lines)) <= 100
    config = loader_of().load_configuration("config", [f"sweep={name}"], run_mode=RunMode.RUN)
    assert config.hydra.mode == RunMode.MULTIRUN
    assert len(config.sweep.title) > 10
    assert planned(name).title == config.sweep.title


@pytest.mark.parametrize("name", NAMES)
def test_a_grid_comes_to_what_the_readme_says(name: str, tmp_path: Path) -> None:
    plan = planned(name)
    dense = {stage.key for job in plan.jobs for stage in job.stages if stage.name == "train_dense"}
    epochs = sum(row.epochs for row in cost_of(plan, tmp_path).rows)
    assert TABLE[name][1:] == (f"{len(plan.jobs):,}", f"{len(dense):,}", f"{epochs:,}")


@pytest.mark.parametrize("name", NAMES)
def test_a_grid_says_how_many_networks_or_masks_it_makes(name: str) -> None:
    comment = FILES[name].read_text(encoding="utf-8").split("sweep:\n")[0].replace("\n#", "")
    (count,) = re.findall(r"(\d+) (?:small )?(?:networks|masks)", comment)
    assert int(count) == len(planned(name).jobs)


@pytest.mark.parametrize("name", NAMES)
def test_no_two_jobs_of_a_grid_are_the_same(name: str) -> None:
    plan = planned(name)
    assert plan.jobs
    assert len({job.stages[-1].key for job in plan.jobs}) == len(plan.jobs)
    assert len({job.directory for job in plan.jobs}) == len(plan.jobs)


@pytest.mark.parametrize("name", NAMES)
def test_a_grid_has_the_same_seeds_of_everything(name: str) -> None:
    seeds: dict[tuple[str, ...], list[int]] = {}
    for job in planned(name).jobs:
        rest = tuple(text for text in job.overrides if not text.startswith("seed="))
        seeds.setdefault(rest, []).append(job.seed)
    count = {"quickstart": 5, "demo": 60}.get(name, 3)
    assert all(found == list(range(count)) for found in seeds.values())


@pytest.mark.parametrize("name", OF_THE_PAPER)
def test_a_grid_of_the_paper_has_its_sparsities(name: str) -> None:
    kinds = {(job.choices["pruner"], job.sparsity) for job in planned(name).jobs}
    pruners = {pruner for pruner, _ in kinds} - {"dense"}
    assert kinds - {("dense", 0.0)} == {(p, s) for p in pruners for s in (0.9, 0.95, 0.98)}


@pytest.mark.parametrize("name", OF_THE_PAPER)
def test_a_grid_of_the_paper_can_be_rehearsed_on_digits(name: str) -> None:
    plan = plan_of(f"sweep={name}", "~experiment", "seed=0")
    assert {(job.choices["dataset"], job.choices["arch"]) for job in plan.jobs} == {
        ("digits", "resnet8")
    }
    assert len({job.stages[-1].key for job in plan.jobs}) == len(plan.jobs)


@pytest.mark.parametrize("name", OF_THE_PAPER)
def test_a_grid_of_the_paper_can_be_tried_in_two_epochs(name: str) -> None:
    assert {job.epochs for job in plan_of(f"sweep={name}", "debug=tiny", "seed=0").jobs} == {2}


def test_what_the_grids_leave_out_is_known() -> None:
    left_out = {name: len(planned(name).left_out) for name in NAMES}
    # random tickets see no data; ascend empties ResNet-32's first convolution at all sparsities
    assert {name: count for name, count in left_out.items() if count} == {
        "quickstart": 5,
        "ratios": 9,
    }
    assert all(
        {"ratio=ascend", "experiment=cifar10_resnet32"} <= set(one.overrides)
        for one in planned("ratios").left_out
    )


def arms(plan: Plan) -> set[tuple[str, ...]]:
    """(pruner, ratio, rewind, check) of all jobs."""
    names = ("pruner", "ratio", "rewind", "sanity_check")
    return {tuple(job.choices[name] for name in names) for job in plan.jobs}


CONTROLS = {
    ("random", "smart", "init", "none"),
    ("random", "smart", "init", "rearrange"),
    ("lt", "global", "learning_rate", "none"),
    ("lt", "global", "learning_rate", "shuffle_weights"),
}


def test_the_battery_has_every_check() -> None:
    found = {check for *_, check in arms(planned("battery")) - CONTROLS}
    assert found == set(options("sanity_check"))


def test_the_demo_is_small_and_has_both_controls() -> None:
    plan = planned("demo")
    assert arms(plan) >= CONTROLS
    assert {job.choices["pruner"] for job in plan.jobs} == {"snip", "random", "lt"}
    assert len(plan.of_look(4)) == 28
    assert plan.seeds == tuple(range(60))
    assert {text for job in plan.jobs for text in job.overrides if "margin" in text} == {
        "verdict.margin=2.0"
    }
    mine = plan_of("sweep=demo", "pruner=grasp", "seed=2", "sweep.controls=null")
    assert arms(mine) == {
        ("grasp", "global", "init", check) for check in ("none", "shuffle_weights")
    }
    assert mine.seeds == tuple(range(2, 62))


@pytest.mark.parametrize("name", ["battery", "quickstart"])
def test_controls_share_cells_and_seeds_and_nothing_that_makes_a_method(name: str) -> None:
    plan = plan_of(
        *(f"sweep={name}", "pruner=snip", "pruner.samples_per_class=5", "ratio=like"),
        *("ratio.of=grasp", "ratio.sparsity=0.8,0.9", "rewind=epoch", "sanity_check=none,reinit"),
        *("seed=4,5", "training.epochs=8"),
    )
    assert arms(plan) - CONTROLS == {("snip", "like", "epoch", c) for c in ("none", "reinit")}
    assert arms(plan) > CONTROLS
    controls = [job for job in plan.jobs if job.choices["pruner"] != "snip"]
    found = {(job.sparsity, job.seed, job.epochs, job.start) for job in controls}
    places = [(sparsity, seed) for sparsity in (0.8, 0.9) for seed in (4, 5)]
    assert found == {(*place, 8, start) for place in places for start in (0, 6)}
    assert len(controls) == 16


def test_controls_that_a_grid_has_already_are_not_run_twice() -> None:
    assert len(planned("quickstart").jobs) == 105
    random = [job for job in planned("quickstart").jobs if job.choices["pruner"] == "random"]
    assert len(random) == 15


def test_controls_can_be_left_out() -> None:
    plan = plan_of("sweep=battery", "sweep.controls=null", "seed=0")
    assert {pruner for pruner, *_ in arms(plan)} == {"lt"}
    assert len(plan.jobs) == 9


@pytest.mark.parametrize("pruner", [name for name in options("pruner") if name not in OTHERS])
def test_the_battery_is_for_every_pruner(pruner: str) -> None:
    plan = plan_of("sweep=battery", f"pruner={pruner}", "seed=0")
    assert arms(plan) >= CONTROLS
    found = {check for name, *_, check in arms(plan) if name == pruner}
    assert {"none", "rearrange", "shuffle_weights", "reinit"} <= found
    assert {name for name, *_ in arms(plan)} == {pruner, "random", "lt"}


@pytest.fixture
def ticket(tmp_path: Path) -> Path:
    """Masks of the default network for two seeds, one of them twice as sparse; their pattern."""
    network = skeleton(functools.partial(ResNet, 8, 10, in_channels=1, image_size=8))
    for seed in (0, 1):
        masks = {}
        for name, weight in prunable_weights(network).items():
            keep = torch.arange(weight.numel()).view(weight.shape) % (10 * (seed + 1)) == 0
            masks[f"{name}.weight_mask"] = keep
        torch.save(masks, tmp_path / f"{seed}.pth")
    return tmp_path / "{seed}.pth"


def test_the_battery_is_for_tickets_from_files_with_controls_as_sparse(ticket: Path) -> None:
    typed = escaped(f"pruner.path={ticket}")
    plan = plan_of("sweep=battery", "pruner=from_checkpoint", typed, "seed=0,1")
    assert arms(plan) - CONTROLS == {
        ("from_checkpoint", "global", "init", check)
        for check in ("none", "rearrange", "shuffle_weights", "reinit")
    }
    assert arms(plan) > CONTROLS
    assert len(plan.jobs) == 8 + 8
    assert {job.sparsity for job in plan.jobs} == {None}
    sparsities = {job.seed: Counter[float]() for job in plan.jobs}
    for job in plan.jobs:  # as the template of directories has it
        sparsities[job.seed][round(float(job.directory.split("_")[-2]), 3)] += 1
    assert [dict(one) for one in sparsities.values()] == [{0.9: 8}, {0.95: 8}]
    reasons = {one.reason for one in plan.left_out}
    assert all("from_checkpoint" in reason for reason in reasons)


def test_the_quickstart_takes_a_ticket_from_a_file_too(ticket: Path) -> None:
    typed = ("pruner=from_checkpoint", escaped(f"pruner.path={ticket}"), "seed=0,1")
    with pytest.raises(ConfigError, match=r"where a grid has them: ratio\.sparsity=null\)$"):
        plan_of("sweep=quickstart", *typed)
    assert len(plan_of("sweep=quickstart", *typed, "ratio.sparsity=null").jobs) == 6 + 8


def test_the_battery_on_a_cell_of_the_paper() -> None:
    cell = ("experiment=cifar10_resnet32", "ratio.sparsity=0.9,0.95,0.98")
    plan = plan_of("sweep=battery", *cell)
    assert len(plan.jobs) == 81 + 36  # nine arms, and four of the controls
    assert {job.choices["arch"] for job in plan.jobs} == {"resnet32"}
    dense = {stage.key for job in plan.jobs for stage in job.stages if stage.name == "train_dense"}
    assert len(dense) == 15  # whatever the sparsity: clean, and under four data checks


def test_the_battery_is_for_your_own_pruner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pruner").mkdir()
    (tmp_path / "battery_pruner.py").write_text(OWN_PRUNER)
    (tmp_path / "pruner" / "mine.yaml").write_text("_target_: battery_pruner.Own\n")
    plan = plan_of("sweep=battery", "pruner=mine", config_dir=tmp_path)
    found = {check for *_, check in arms(plan) - CONTROLS}
    assert found == {"none", "invert", "rearrange", "shuffle_weights", "reinit"}
    assert {name for name, *_ in arms(plan) - CONTROLS} == {"mine"}


def test_the_readmes_own_grid_works(tmp_path: Path) -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", README, re.S)
    (tmp_path / "sweep").mkdir()
    (tmp_path / "sweep" / "depths.yaml").write_text(example)
    plan = plan_of("sweep=depths", config_dir=tmp_path)
    assert plan.title == "Depth and positions"
    assert len(plan.jobs) == 18
    assert len(plan.shared) == 6  # each dense network is a baseline too


def test_the_share_of_work_that_the_readme_promises() -> None:
    def networks(name: str) -> set[str]:
        return {job.stages[-1].key for job in planned(name).jobs}

    for name in ("initial_tickets", "hybrid_tickets"):
        shared = networks(name) & networks("random_tickets")
        assert len(shared) * 3 == len(planned(name).jobs)


def test_a_setting_beside_the_grid_is_refused_since_jobs_would_not_see_it(tmp_path: Path) -> None:
    (tmp_path / "sweep").mkdir()
    text = "# @package _global_\nsweep:\n  grid: {seed: [0, 1]}\ntraining:\n  epochs: 3\n"
    (tmp_path / "sweep" / "lost.yaml").write_text(text)
    with pytest.raises(ConfigError, match="sweep=lost: sets training beside"):
        plan_of("sweep=lost", config_dir=tmp_path)
