"""What a sweep comes to before it starts: its jobs, what they share, what means nothing."""

import time
from pathlib import Path

import numpy as np
import pytest
from conftest import TINY
from hydra.errors import HydraException
from PIL import Image
from planning import plan_of

from sanity.core.errors import CombinationError, ConfigError
from sanity.sweep.plan import Plan

LIMIT = 20  # seconds to plan 5,000 jobs: 6 to 16 on an idle laptop core


def keys(plan: Plan, stage: str) -> list[str]:
    """The key of every job's stage of that name, job by job; those without it are left out."""
    return [found.key for job in plan.jobs for found in job.stages if found.name == stage]


def keys_of(plan: Plan, number: int) -> dict[str, str]:
    return {stage.name: stage.key for stage in plan.jobs[number].stages}


def test_pruners_share_the_dense_network_of_their_seed() -> None:
    plan = plan_of("pruner=lt,hybrid,snip", "seed=0,1")
    dense = {
        (job.choices["pruner"], job.seed): keys_of(plan, job.number).get("train_dense")
        for job in plan.jobs
    }
    assert dense["lt", 0] == dense["hybrid", 0]
    assert dense["lt", 1] == dense["hybrid", 1]
    assert dense["lt", 0] != dense["lt", 1]
    assert dense["snip", 0] is None
    assert set(plan.shared) == {dense["lt", 0], dense["lt", 1]}
    assert [plan.needs(job) for job in plan.jobs] == [
        *([dense["lt", 0]], [dense["lt", 1]]) * 2,
        *([], []),
    ]


def test_a_dense_network_is_shared_with_its_own_baseline() -> None:
    plan = plan_of("pruner=dense,lt", "ratio.sparsity=0,0.9")
    assert [job.choices["pruner"] for job in plan.jobs] == ["dense", "lt", "lt"]
    assert len(set(keys(plan, "train_dense"))) == 1
    assert len(plan.shared) == 1


def test_a_lone_dense_network_is_the_job_itself() -> None:
    plan = plan_of("pruner=dense", "seed=0,1")
    assert plan.shared == {}


def test_jobs_that_end_in_the_same_ticket_need_no_third_job_for_it() -> None:
    plan = plan_of("pruner=snip", "threads=1,2")
    assert len(set(keys(plan, "train_ticket"))) == 1
    assert plan.shared == {}


def test_the_dense_network_behind_one_job_is_worth_a_job_of_its_own() -> None:
    plan = plan_of("pruner=lt", "seed=0,1")
    assert list(plan.shared) == keys(plan, "train_dense")


def test_a_corrupted_dense_network_is_another_one() -> None:
    plan = plan_of("pruner=lt", "sanity_check=none,random_labels,rearrange")
    clean, corrupted, rearranged = keys(plan, "train_dense")
    assert clean == rearranged != corrupted


def test_checks_share_the_rounds_of_iterative_pruning_that_they_do_not_touch() -> None:
    plan = plan_of(*TINY, "pruner=imp", "pruner.rounds=3", "sanity_check=none,shuffle_weights")
    plain, shuffled = (keys_of(plan, number) for number in (0, 1))
    rounds = ["train_dense", "prune_1", "rewind_1", "train_ticket_1"]
    rounds += ["prune_2", "rewind_2", "train_ticket_2", "prune"]
    assert {name for name in plain if plain[name] == shuffled[name]} == set(rounds)
    shared = {needed.stage.name: needed.after for needed in plan.shared.values()}
    assert shared == {
        "train_dense": None,
        "train_ticket_1": plain["train_dense"],
        "train_ticket_2": plain["train_ticket_1"],
    }
    expected = [plain[name] for name in ("train_dense", "train_ticket_1", "train_ticket_2")]
    assert [plan.needs(job) for job in plan.jobs] == [expected, expected]


@pytest.mark.parametrize("order", ["init,epoch,learning_rate", "epoch,learning_rate,init"])
def test_the_job_that_remembers_an_epoch_trains_the_dense_network(order: str) -> None:
    """Otherwise the epoch's weights are not kept, and the network is trained a second time."""
    plan = plan_of("pruner=lt", f"rewind={order}", "ratio.sparsity=0.9,0.98")
    (needed,) = plan.shared.values()
    assert needed.job.choices["rewind"] == "epoch"
    assert needed.stage.name == "train_dense"


def test_what_means_nothing_is_left_out_with_its_reason() -> None:
    plan = plan_of("pruner=random,lt,dense", "sanity_check=none,random_labels,rearrange", "seed=3")
    found = [(job.choices["pruner"], job.choices["sanity_check"]) for job in plan.jobs]
    wanted = [("random", "none"), ("random", "rearrange")]
    wanted += [("lt", "none"), ("lt", "random_labels"), ("lt", "rearrange")]
    wanted += [("dense", "none"), ("dense", "random_labels")]
    assert found == wanted
    assert [job.number for job in plan.jobs] == list(range(7))
    reasons = {one.overrides: one.reason for one in plan.left_out}
    assert set(reasons) == {
        ("pruner=random", "sanity_check=random_labels", "seed=3"),
        ("pruner=dense", "sanity_check=rearrange", "seed=3"),
    }
    assert "never sees data" in reasons["pruner=random", "sanity_check=random_labels", "seed=3"]


def test_a_grid_of_nothing_but_that_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^sanity_check=random_labels: pruner=random never"):
        plan_of("pruner=random", "sanity_check=random_labels", "seed=0,1")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            "ratio.sparsity=0.9,1.5",
            r"^ratio\.sparsity=1\.5: must be in \[0, 1\).*job:.*sparsity=1.5",
        ),
        ("ratio.sparsity=0.9,much", r"^ratio\.sparsity=much: must be a number .*sparsity=much\)"),
        ("training.epochs=2,0", r"^training\.epochs=0: .*\(job: .*training\.epochs=0\)"),
        ("seed=0,one", r"^seed=one: .*\(job: .*seed=one\)"),
        ("sanity_check.fraction=0.5,2", r"^sanity_check\.fraction=2: must be .*fraction=2\)"),
    ],
)
def test_one_wrong_value_stops_everything(wrong: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        plan_of("pruner=lt", "sanity_check=half_dataset", wrong)
    assert not isinstance(caught.value, CombinationError)  # or the grid would just leave it out


def test_one_unknown_option_stops_everything() -> None:
    with pytest.raises(HydraException, match="Could not find 'pruner/snap'"):
        plan_of("pruner=lt,snap", "seed=0,1")


@pytest.mark.parametrize("setting", ["store_dir=/a,/b", "data_dir=/a,/b"])
def test_jobs_share_one_store_and_one_data_directory(setting: str) -> None:
    with pytest.raises(ConfigError, match=rf"^{setting.split('=')[0]}: all jobs of a sweep share"):
        plan_of(setting)


def test_jobs_are_described_by_what_they_are() -> None:
    (job,) = plan_of("pruner=hybrid", "ratio.sparsity=0.9", "seed=4", "training.epochs=7").jobs
    assert job.directory == "0_digits_resnet8_hybrid_none_0.9_s4"
    assert (job.sparsity, job.seed, job.epochs) == (0.9, 4, 7)
    assert job.choices == {
        "dataset": "digits",
        "arch": "resnet8",
        "pruner": "hybrid",
        "ratio": "smart",
        "rewind": "learning_rate",
        "sanity_check": "none",
    }


def test_directories_differ_and_follow_the_template() -> None:
    plan = plan_of("seed=0,1", "hydra.sweep.subdir=${seed}/${hydra.job.num}_${training.lr}")
    assert [job.directory for job in plan.jobs] == ["0/0_0.05", "1/1_0.05"]


def test_jobs_on_other_images_have_their_own_networks(tmp_path: Path) -> None:
    """They differ in a value alone, so they are composed together; the images tell the classes."""
    folders = [image_folder(tmp_path / "two", 2), image_folder(tmp_path / "three", 3)]
    images = ["dataset=folder", "training=smoke", "pruner=random", "ratio.sparsity=0.5"]
    together = plan_of(*images, f"dataset.path={folders[0]},{folders[1]}", "seed=0,1").jobs
    apart = [plan_of(*images, f"dataset.path={path}", "seed=0,1").jobs for path in folders]
    assert [job.stages for job in together] == [job.stages for jobs in apart for job in jobs]
    assert len({job.stages[0].key for job in together}) == 4


def image_folder(root: Path, classes: int) -> Path:
    """A tree of noise images of 8x8 pixels, two of each class for training and for testing."""
    chance = np.random.default_rng(classes)
    for split in ("train", "test"):
        for label in range(classes):
            place = root / split / f"class{label}"
            place.mkdir(parents=True)
            for number in range(2):
                pixels = chance.integers(0, 256, (8, 8, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(place / f"{number}.png")
    return root


@pytest.mark.slow
def test_five_thousand_jobs_are_planned_in_seconds() -> None:
    started = time.perf_counter()
    plan = plan_of(
        "pruner=lt,snip,grasp,random,hybrid",
        "sanity_check=none,rearrange,shuffle_weights,reinit",
        "ratio.sparsity=0.8,0.9,0.95,0.98,0.99",
        "seed=range(50)",
    )
    seconds = time.perf_counter() - started
    assert len(plan.jobs) == 5000
    assert len({job.stages[-1].key for job in plan.jobs}) == 5000
    assert len(set(keys(plan, "train_dense"))) == 50
    assert len(plan.shared) == 50
    assert seconds < LIMIT
