"""The tables of a sweep in progress: what failed, how jobs stand."""

import io
from pathlib import Path

from planning import plan_of
from rich.console import Console, RenderableType

from sanity.sweep import show
from sanity.sweep.states import State, Word
from sanity.sweep.under_way import Shared


def printed(table: RenderableType) -> list[list[str]]:
    console = Console(file=io.StringIO(), width=300)
    console.print(table)
    output = console.file
    assert isinstance(output, io.StringIO)
    return [line.split() for line in output.getvalue().splitlines() if line.strip()]


def test_failures_name_settings_reason_and_log_up_to_a_limit() -> None:
    plan = plan_of("pruner=lt,hybrid", "seed=0,1")
    log = Path.cwd() / "here" / "run.log"
    states = [State(job, "failed", f"it broke at {job.number}", log) for job in plan.jobs]
    rows = printed(show.failures(states, limit=3))
    assert ["0", "pruner=lt", "seed=0", "it", "broke", "at", "0", "here/run.log"] in rows
    assert sum("broke" in row for row in rows) == 3
    assert rows[-1] == ["and", "1", "more"]
    assert show.counts(states).plain == "4 jobs:  4 failed"


def test_failures_of_one_reason_are_one_row_with_what_they_share() -> None:
    plan = plan_of("pruner=lt,hybrid", "seed=range(10)")
    log = Path.cwd() / "here" / "run.log"
    states = [
        State(job, "failed", "no memory" if job.choices["pruner"] == "lt" else "other", log)
        for job in plan.jobs
    ]
    rows = [row for row in printed(show.failures(states, limit=20)) if "log" in row[-1]]
    assert rows[1:] == [
        ["10:", "0-9", "pruner=lt", "no", "memory", "here/run.log"],
        ["10:", "10-19", "pruner=hybrid", "other", "here/run.log"],
    ]


def test_a_shared_stage_that_failed_for_several_seeds_is_one_reason() -> None:
    plan = plan_of("pruner=lt,hybrid", "seed=0,1")
    whys = [f"its train_dense {job.stages[0].key} failed: diverged" for job in plan.jobs]
    assert len(set(whys)) == 2
    states = [State(job, "failed", why) for job, why in zip(plan.jobs, whys, strict=True)]
    (row,) = [row for row in printed(show.standing(states, limit=9)) if "diverged" in row]
    assert row[:3] == ["4:", "0-3", "failed"]
    assert sum("diverged" in row for row in printed(show.standing(states, limit=None))) == 4


def test_running_jobs_are_listed_one_by_one() -> None:
    plan = plan_of("pruner=lt,hybrid", "seed=0,1")
    rows = printed(show.standing([State(job, "running") for job in plan.jobs], limit=9))
    assert [row[:2] for row in rows if "running" in row] == [[str(n), "running"] for n in range(4)]
    waiting = printed(show.standing([State(job, "pending") for job in plan.jobs], limit=9))
    assert ["4:", "0-3", "pending"] in waiting


def test_numbers_that_follow_each_other_are_put_together() -> None:
    assert show.spans([7, 0, 1, 2, 9, 8]) == "0-2, 7-9"
    assert show.spans([4]) == "4"
    assert show.spans([1, 3]) == "1, 3"


def test_jobs_that_are_not_done_stand_with_their_reason_up_to_a_limit() -> None:
    plan = plan_of("pruner=lt,hybrid", "seed=0,1")
    words: tuple[Word, ...] = ("done", "failed", "pending", "missing")
    states = [State(job, word, f"why {word}") for job, word in zip(plan.jobs, words, strict=True)]
    rows = printed(show.standing(states, limit=2))
    assert ["1", "failed", "pruner=lt", "seed=1", "why", "failed"] in rows
    assert not any("done" in row for row in rows)
    assert rows[-1] == ["and", "1", "more", "(--all", "shows", "them)"]


def test_a_product_is_told_only_where_the_jobs_are_one() -> None:
    assert show.jobs_line(plan_of("pruner=lt,hybrid", "seed=0,1")).plain == (
        "4 jobs: 2 pruner x 2 seed"
    )
    assert show.jobs_line(plan_of("seed=3")).plain == "1 job"
    assert show.jobs_line(plan_of("sweep=battery")).plain == (
        "39 jobs: some of the combinations of 9 sanity_check, 3 seed, 2 pruner, 2 ratio, 2 rewind"
    )
    grid = plan_of("pruner=snip,random", "sanity_check=none,corrupted_data")
    assert show.jobs_line(grid).plain == (
        "3 jobs: some of the combinations of 2 pruner, 2 sanity_check"
    )


def test_shared_stages_stand_above_the_jobs_with_how_far_they_are() -> None:
    plan = plan_of("pruner=lt,hybrid", "seed=0,1")
    running = Shared("train_dense", "abc", "train_dense: epoch 3/15", None)
    line, table = show.shared(plan, 1, [running])
    assert printed(line) == [["2", "shared", "stages:", "1", "done", "1", "running"]]
    row = ["train_dense", "abc", "running", "train_dense:", "epoch", "3/15"]
    assert row in printed(table)
    assert show.shared(plan_of("pruner=random"), 0, []) == []
