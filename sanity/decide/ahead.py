"""What a sweep that grows is to run next, by what its report says so far."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sanity.report.data.questions import Question
from sanity.report.output import wording
from sanity.report.report import Report
from sanity.stats.looks import up_to
from sanity.stats.verdicts import Verdict
from sanity.sweep.grid import arm_of
from sanity.sweep.plan import Job
from sanity.sweep.sweep import Sweep

Arm = tuple[str, ...]

MOST = "{} seeds are the most; the same command with a larger sweep.most_seeds goes on"
OTHERS = "what is open is of other runs in its directory"
BUDGET = "the budget is spent; the same command with a larger sweep.budget, or null, goes on"


@dataclass(frozen=True)
class Ahead:
    """The next look: its number of seeds and the jobs that it lacks; or ``why`` there is none."""

    seeds: int = 0
    jobs: tuple[Job, ...] = ()
    why: str = ""


def ahead(sweep: Sweep, report: Report | None) -> Ahead:
    """What comes after the looks that have ended, by their report; the first asks for all arms."""
    last = max((look.seeds for look in sweep.looks), default=0)
    following = [seeds for seeds in up_to(len(sweep.plan.seeds)) if seeds > last]
    if report is None:
        return Ahead(following[0], tuple(_lacking(sweep, following[0], None)))
    wanted = open_questions(report)
    if not wanted:
        return Ahead(why=standing(report))
    if not following:
        return Ahead(why=MOST.format(last))
    seeds = following[0]
    if not _lacking(sweep, seeds, set().union(*(arms_of(sweep, one) for one in wanted))):
        return Ahead(why=OTHERS)
    jobs = _lacking(sweep, seeds, _within_budget(sweep, seeds, wanted))
    return Ahead(seeds, tuple(jobs)) if jobs else Ahead(why=BUDGET)


def standing(report: Report) -> str:
    """How many questions are decided, open, given up, and without a verdict."""
    questions = [one.judgement for one in report.questions]
    if not questions:
        return "no question has both of its arms"
    decided, is_open, none = (
        sum(found)
        for found in zip(
            *((one.is_decided, one.is_open, one.verdict is Verdict.NONE) for one in questions),
            strict=True,
        )
    )
    given_up = len(questions) - decided - is_open - none
    others = ((is_open, "open"), (given_up, "given up"), (none, "without a verdict"))
    said = [f"{count} {word}" for count, word in others if count]
    return ", ".join([f"{decided} of {wording.count(len(questions), 'question')} decided", *said])


def open_questions(report: Report) -> list[Question]:
    """Those that more seeds may decide, the ones that take the fewest first."""

    def likely(question: Question) -> float:
        forecast = question.judgement.forecast
        return float("inf") if forecast is None or forecast.seeds is None else forecast.seeds

    return sorted((one for one in report.questions if one.judgement.is_open), key=likely)


def seconds_a_job(sweep: Sweep) -> float | None:
    """The clock that a job took so far, with as many at a time as there were."""
    run = [look for look in sweep.looks if look.seconds]
    jobs = sum(len(look.jobs) for look in run)
    return sum(look.seconds for look in run) / jobs if jobs else None


def seconds_left(sweep: Sweep, questions: Sequence[Question]) -> float | None:
    """The clock until these probably have their verdicts; None while that is not known."""
    pace, jobs = seconds_a_job(sweep), set[int]()
    for question in questions:
        forecast = question.judgement.forecast
        if forecast is None or forecast.seeds is None:
            return None
        lacking = _lacking(sweep, forecast.seeds, arms_of(sweep, question))
        jobs |= {job.number for job in lacking}
    return None if pace is None else pace * len(jobs)


def arms_of(sweep: Sweep, question: Question) -> set[Arm]:
    """The arms that a question is about."""
    runs = (*question.cell.original.runs.values(), *question.changed.runs.values())
    places, home = {run.directory.resolve() for run in runs}, sweep.directory.resolve()
    return {arm_of(job.overrides) for job in sweep.plan.jobs if home / job.directory in places}


def _lacking(sweep: Sweep, seeds: int, arms: Collection[Arm] | None) -> list[Job]:
    """The jobs of the first ``seeds`` that were not asked for, of these arms or of all."""
    first = {*sweep.plan.seeds[:seeds]}
    return [
        job
        for job in sweep.later
        if job.seed in first and (arms is None or arm_of(job.overrides) in arms)
    ]


def _within_budget(sweep: Sweep, seeds: int, wanted: Sequence[Question]) -> set[Arm]:
    """The arms of as many questions as the budget has time for, the nearest to a verdict first."""
    pace = seconds_a_job(sweep)
    spent = sum(look.seconds for look in sweep.looks)
    left = float("inf") if sweep.budget is None or pace is None else sweep.budget - spent
    chosen: set[Arm] = set()
    for question in wanted:
        more = chosen | arms_of(sweep, question)
        if len(_lacking(sweep, seeds, more)) * (pace or 0.0) <= left:
            chosen = more
    return chosen
