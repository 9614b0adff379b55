"""What a sweep that grows asks for next, by what has come out so far."""

import dataclasses
from pathlib import Path

import pytest
from growing import CHECKED, DECIDED, Accuracy, begun, end, noisy

from sanity.decide.ahead import BUDGET, MOST, OTHERS, Ahead, ahead, open_questions
from sanity.decide.run import advance
from sanity.report import report
from sanity.stats.verdicts import Verdict
from sanity.sweep import growth
from sanity.sweep.plan import Job
from sanity.sweep.sweep import Sweep

MANY = (*DECIDED, "pruner=lt", "sanity_check=none,rearrange,reinit,shuffle_weights")
OPEN = 2.0  # a spread with which a margin of 1 takes many seeds
UNKNOWN = {"rearrange": -1.0, "reinit": -30.0}


def looked(sweep: Sweep, accuracy: Accuracy, looks: int = 1) -> tuple[Sweep, Ahead]:
    """After so many looks: the sweep, and what comes next."""
    step = advance(sweep, ())
    for _ in range(looks):
        end(step.sweep, accuracy)
        step = advance(step.sweep, {job.number for job in step.sweep.plan.jobs})
    assert step.ahead is not None
    return step.sweep, step.ahead


def checks(jobs: tuple[Job, ...]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for job in jobs:
        found.setdefault(job.choices["sanity_check"], []).append(job.seed)
    return found


def test_the_first_look_is_at_four_seeds_of_all_arms(tmp_path: Path) -> None:
    sweep = begun(tmp_path / "sweep", *CHECKED)
    assert sweep.plan.jobs == ()
    found = ahead(sweep, None)
    assert found.seeds == 4
    assert checks(found.jobs) == {"none": [0, 1, 2, 3], "rearrange": [0, 1, 2, 3]}
    assert [job.number for job in found.jobs] == list(range(8))


def test_arms_of_what_is_decided_stop_and_the_others_go_on(tmp_path: Path) -> None:
    def accuracy(job: Job) -> float | None:
        spread = OPEN if job.choices["sanity_check"] == "rearrange" else 0.1
        return noisy(UNKNOWN, spread)(job)

    sweep, found = looked(begun(tmp_path / "sweep", *MANY), accuracy)
    assert found.seeds == 6
    assert checks(found.jobs) == {"none": [4, 5], "rearrange": [4, 5]}
    assert sweep.looks[0].ended
    assert sweep.looks[1].jobs == tuple(job.number for job in found.jobs)


def test_nothing_is_asked_once_all_is_decided(tmp_path: Path) -> None:
    sweep, found = looked(begun(tmp_path / "sweep", *CHECKED), noisy({"rearrange": -30.0}, 0.1))
    assert found == Ahead(why="1 of 1 question decided")
    assert len(sweep.looks) == 1


def test_what_has_no_chance_any_more_is_given_up(tmp_path: Path) -> None:
    def accuracy(job: Job) -> float | None:
        wide = (-9.0, 9.0)[job.seed % 2] if job.choices["sanity_check"] == "rearrange" else 0.0
        return noisy({"rearrange": wide - 20.0, "none": -20.0})(job)

    sweep, found = looked(begun(tmp_path / "sweep", *CHECKED), accuracy, looks=3)
    assert found == Ahead(why="0 of 1 question decided, 1 given up")
    assert [look.seeds for look in sweep.looks] == [4, 6, 9]


def test_the_seeds_that_are_allowed_end_it(tmp_path: Path) -> None:
    few = ("sweep.most_seeds=8",)
    sweep, found = looked(begun(tmp_path / "sweep", *CHECKED, *few), noisy({}, OPEN), looks=2)
    assert found == Ahead(why=MOST.format(6))
    assert sweep.plan.seeds == tuple(range(6))


def test_a_look_with_a_failed_job_goes_on_without_it(tmp_path: Path) -> None:
    def accuracy(job: Job) -> float | None:
        broken = job.seed == 1 and job.choices["sanity_check"] == "rearrange"
        return None if broken else noisy({}, OPEN)(job)

    sweep, found = looked(begun(tmp_path / "sweep", *CHECKED), accuracy)
    assert checks(found.jobs) == {"none": [4, 5], "rearrange": [4, 5]}
    (question,) = report.make([sweep.directory]).questions
    assert [look.seeds for look in question.judgement.paired.looks] == [3]


@pytest.mark.parametrize("original", [False, True])
def test_an_arm_all_of_whose_jobs_failed_takes_no_more(tmp_path: Path, original: bool) -> None:
    def accuracy(job: Job) -> float | None:
        broken = job.choices["sanity_check"] == ("none" if original else "reinit")
        return None if broken else noisy({}, OPEN)(job)

    _, found = looked(begun(tmp_path / "sweep", *MANY), accuracy)
    if original:  # no question is left
        assert found == Ahead(why="no question has both of its arms")
    else:
        assert set(checks(found.jobs)) == {"none", "rearrange", "shuffle_weights"}


def test_tickets_that_guess_take_no_more(tmp_path: Path) -> None:
    """No verdict is possible where there is nothing to lose."""
    sweep, _ = looked(begun(tmp_path / "sweep", *CHECKED), noisy({}, OPEN))
    found = report.make([sweep.directory])
    judgement = dataclasses.replace(found.questions[0].judgement, verdict=Verdict.NONE, why="it")
    question = dataclasses.replace(found.questions[0], judgement=judgement)
    found = dataclasses.replace(found, questions=(question,))
    assert ahead(sweep, found).why == "0 of 1 question decided, 1 without a verdict"


def spent(sweep: Sweep, seconds: float) -> Sweep:
    """The same after looks that took so long."""
    growth.write(
        sweep.directory, [dataclasses.replace(one, seconds=seconds) for one in sweep.looks]
    )
    return sweep.renewed()


def test_a_budget_is_for_what_is_nearest_to_a_verdict(tmp_path: Path) -> None:
    def accuracy(job: Job) -> float | None:
        spread = {"rearrange": 0.7, "reinit": 3.0, "shuffle_weights": 3.0}
        return noisy({}, spread.get(job.choices["sanity_check"], 0.1))(job)

    sweep = begun(tmp_path / "sweep", *MANY, budget=1000.0)
    for _ in range(2):
        sweep, _ = looked(sweep, accuracy, 1)
    sweep = sweep.renewed()
    growth.write(sweep.directory, sweep.looks[:2])  # as before the third was asked for
    sweep = sweep.renewed()
    found = report.make([sweep.directory])
    wanted = open_questions(found)
    assert len(wanted) == 3
    assert wanted[0].check == "rearrange"
    # 24 jobs in 600 s so far: 25 s each; three more seeds of two arms take 150 s, of three 225.
    rich, poor, broke = (
        ahead(spent(dataclasses.replace(sweep, budget=budget), 300.0), found)
        for budget in (1000.0, 800.0, 700.0)
    )
    assert set(checks(rich.jobs)) == {"none", "rearrange", "reinit", "shuffle_weights"}
    assert checks(poor.jobs) == {"none": [6, 7, 8], "rearrange": [6, 7, 8]}
    assert broke == Ahead(why=BUDGET)


def test_runs_of_others_below_its_directory_are_no_reason_to_go_on(tmp_path: Path) -> None:
    sweep, _ = looked(begun(tmp_path / "sweep", *CHECKED), noisy({"rearrange": -30.0}, 0.1))
    _, found = looked(begun(sweep.directory / "other", *MANY), noisy({}, OPEN))
    assert found.jobs
    whole = report.make([sweep.directory])
    assert any(one.judgement.is_open for one in whole.questions)
    assert ahead(sweep, whole) == Ahead(why=OTHERS)


def test_more_seeds_go_on_where_fewer_had_ended(tmp_path: Path) -> None:
    place, accuracy = tmp_path / "sweep", noisy({"rearrange": 0.9}, 0.8)
    sweep, found = looked(begun(place, *CHECKED, "sweep.most_seeds=4"), accuracy)
    assert found.why == MOST.format(4)
    before = [(job.number, job.directory) for job in sweep.plan.jobs]
    sweep = begun(place, *CHECKED, "sweep.most_seeds=60")
    step = advance(sweep, ())
    assert step.ahead is not None
    assert [(job.number, job.seed) for job in step.ahead.jobs] == [(8, 4), (9, 5), (10, 4), (11, 5)]
    assert [(job.number, job.directory) for job in step.sweep.plan.jobs][:8] == before
