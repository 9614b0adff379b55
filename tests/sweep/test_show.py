"""The tables that end a sweep: a row a method, a column a check, nothing that tells nothing."""

import io
from pathlib import Path

from planning import plan_of
from rich.console import Console, RenderableType

from sanity.sweep import show
from sanity.sweep.plan import Plan
from sanity.sweep.states import State

ACCURACY = {"lt": 90.0, "hybrid": 80.0}


def printed(table: RenderableType) -> list[list[str]]:
    console = Console(file=io.StringIO(), width=300)
    console.print(table)
    output = console.file
    assert isinstance(output, io.StringIO)
    return [line.split() for line in output.getvalue().splitlines() if line.strip()]


def table(states: list[State]) -> list[list[str]]:
    """The header and the rows of the results, without title and rule."""
    rows = printed(show.results(states))
    start = next(index for index, row in enumerate(rows) if row[0] == "pruner")
    return [rows[start], *rows[start + 2 :]]


def done(plan: Plan) -> list[State]:
    """Every job done: by pruner, one percent more for each seed, ten less when rearranged."""
    return [
        State(
            job,
            "done",
            metrics={
                "test_accuracy": ACCURACY[job.choices["pruner"]]
                + job.seed
                - 10 * (job.choices["sanity_check"] == "rearrange")
            },
        )
        for job in plan.jobs
    ]


def test_results_are_means_over_seeds_without_columns_that_follow_from_others() -> None:
    grid = ("pruner=lt,hybrid", "sanity_check=none,rearrange", "seed=0,1,2")
    rows = table(done(plan_of(*grid)))
    assert rows[0] == ["pruner", "none", "rearrange"], "ratio and rewind follow from the pruner"
    assert rows[1] == ["lt", "91.00", "±1.00", "(3)", "81.00", "±1.00", "(3)"]
    assert rows[2] == ["hybrid", "81.00", "±1.00", "(3)", "71.00", "±1.00", "(3)"]
    more = table(done(plan_of(*grid, "ratio.sparsity=0.5,0.9")))
    assert more[0] == ["pruner", "sparsity", "none", "rearrange"]
    assert [row[:2] for row in more[1:]] == [
        [pruner, sparsity] for pruner in ACCURACY for sparsity in ("0.5", "0.9")
    ]


def test_a_single_seed_has_no_deviation_and_a_missing_cell_is_empty() -> None:
    states = done(plan_of("pruner=lt,hybrid", "sanity_check=none,rearrange"))[:3]
    rows = table(states)
    assert rows[1] == ["lt", "90.00", "(1)", "80.00", "(1)"]
    assert rows[2] == ["hybrid", "80.00", "(1)"]


def test_failures_name_settings_reason_and_log_up_to_a_limit() -> None:
    plan = plan_of("pruner=lt,hybrid", "seed=0,1")
    log = Path.cwd() / "here" / "run.log"
    states = [State(job, "failed", "it broke", log) for job in plan.jobs]
    rows = printed(show.failures(states, limit=3))
    assert ["0", "pruner=lt", "seed=0", "it", "broke", "here/run.log"] in rows
    assert sum("broke" in row for row in rows) == 3
    assert rows[-1] == ["and", "1", "more"]
    assert show.counts(states).plain == "4 jobs:  4 failed"


def test_jobs_that_are_done_are_rows_of_the_table_of_results() -> None:
    states = done(plan_of("pruner=lt", "seed=0,1", "training.lr=0.1,0.2"))
    unfinished = State(states[0].job, "failed", "it broke")
    frame = show.frame([unfinished, *states[1:]])
    assert list(frame["job"]) == [1, 2, 3]
    assert list(frame["training.lr"]) == ["0.2", "0.1", "0.2"]
    assert {"dataset", "arch", "pruner", "ratio", "rewind", "sanity_check", "seed"} <= {*frame}
