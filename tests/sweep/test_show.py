"""The tables of a sweep in progress: what failed, how jobs stand."""

import io
from pathlib import Path

from planning import plan_of
from rich.console import Console, RenderableType

from sanity.sweep import show
from sanity.sweep.states import State, Word


def printed(table: RenderableType) -> list[list[str]]:
    console = Console(file=io.StringIO(), width=300)
    console.print(table)
    output = console.file
    assert isinstance(output, io.StringIO)
    return [line.split() for line in output.getvalue().splitlines() if line.strip()]


def test_failures_name_settings_reason_and_log_up_to_a_limit() -> None:
    plan = plan_of("pruner=lt,hybrid", "seed=0,1")
    log = Path.cwd() / "here" / "run.log"
    states = [State(job, "failed", "it broke", log) for job in plan.jobs]
    rows = printed(show.failures(states, limit=3))
    assert ["0", "pruner=lt", "seed=0", "it", "broke", "here/run.log"] in rows
    assert sum("broke" in row for row in rows) == 3
    assert rows[-1] == ["and", "1", "more"]
    assert show.counts(states).plain == "4 jobs:  4 failed"


def test_jobs_that_are_not_done_stand_with_their_reason_up_to_a_limit() -> None:
    plan = plan_of("pruner=lt,hybrid", "seed=0,1")
    words: tuple[Word, ...] = ("done", "failed", "pending", "missing")
    states = [State(job, word, f"why {word}") for job, word in zip(plan.jobs, words, strict=True)]
    rows = printed(show.standing(states, limit=2))
    assert ["1", "failed", "pruner=lt", "seed=1", "why", "failed"] in rows
    assert not any("done" in row for row in rows)
    assert rows[-1] == ["and", "1", "more", "(--all", "shows", "them)"]
