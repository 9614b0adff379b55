"""Reports on sweeps that grow: they judge what is complete, and what they say stays said."""

import json
import random
from pathlib import Path

import pytest
from growing import CHECKED, DECIDED, Accuracy, begun, end, noisy, starting
from simulated import seeds, write

from sanity.decide import run as decide
from sanity.decide.table import heading
from sanity.report import report
from sanity.report.data.questions import Question
from sanity.report.output import tables
from sanity.stats.verdicts import Verdict
from sanity.sweep import growth
from sanity.sweep import sweep as sweeps
from sanity.sweep.plan import Job
from sanity.sweep.sweep import Sweep

MANY = (*DECIDED, "pruner=lt", "sanity_check=none,rearrange,reinit,shuffle_weights")
EFFECTS = {"rearrange": 0.2, "reinit": -1.2, "shuffle_weights": -8.0}


def questions(*places: Path) -> dict[str, Question]:
    return {one.check: one for one in report.make(places).questions}


def looks(question: Question) -> list[tuple[int, int]]:
    return [(look.number, look.seeds) for look in question.judgement.paired.looks]


def grown(place: Path, accuracy: Accuracy, *arguments: str) -> None:
    """A sweep that has gone on to its end."""
    assert decide.run(begun(place, *arguments), starting(accuracy)) is not None


def next_look(sweep: Sweep) -> Sweep:
    """The sweep with its next look asked for, whose jobs have not run yet."""
    return decide.advance(sweep, {job.number for job in sweep.plan.jobs}).sweep


def test_a_look_counts_when_all_of_it_has_ended(tmp_path: Path) -> None:
    accuracy, place = noisy({}, 2.0), tmp_path / "sweep"
    sweep = next_look(begun(place, *CHECKED))
    end(sweep, accuracy)
    found = questions(place)["rearrange"]
    assert (looks(found), str(found.verdict)) == ([], "undecided")
    sweep = next_look(sweep)
    assert looks(questions(place)["rearrange"]) == [(0, 4)]
    end(sweep, accuracy, [job for job in sweep.plan.jobs if job.seed == 4])
    half = questions(place)["rearrange"].judgement.paired
    assert half.seeds == 5
    assert [look.seeds for look in half.looks] == [4]
    end(sweep, accuracy)
    next_look(sweep)
    assert looks(questions(place)["rearrange"]) == [(0, 4), (1, 6)]


def test_an_arm_that_was_left_out_and_goes_on_is_looked_at_with_all_it_has(tmp_path: Path) -> None:
    """It catches up within a look; halfway through, none of that counts."""
    accuracy, place = noisy({}, 2.0), tmp_path / "sweep"
    sweep = begun(place, *CHECKED)
    none, changed = (
        [job for job in sweep.later if job.choices["sanity_check"] == check]
        for check in ("none", "rearrange")
    )
    for count, jobs in (4, [*none[:4], *changed[:4]]), (6, none[4:6]), (9, none[6:9]):
        sweep = sweep.ask(count, jobs)
        end(sweep, accuracy)
        sweep = sweep.end()
    assert looks(questions(place)["rearrange"]) == [(0, 4)]
    sweep = sweep.ask(13, [*none[9:13], *changed[4:13]])
    end(sweep, accuracy, changed[4:7])
    half = questions(place)["rearrange"]
    assert half.judgement.paired.seeds == 7
    assert looks(half) == [(0, 4)]
    end(sweep, accuracy)
    sweep.end()
    assert looks(questions(place)["rearrange"]) == [(0, 4), (3, 13)]


@pytest.mark.parametrize("chance", range(3))
def test_no_verdict_changes_while_jobs_end_one_by_one(tmp_path: Path, chance: int) -> None:
    rng, place, said = random.Random(chance), tmp_path / "sweep", dict[str, object]()

    def accuracy(job: Job) -> float | None:
        return None if hash((job.number, chance)) % 17 == 0 else noisy(EFFECTS, 0.9)(job)

    def watch() -> None:
        for check, one in questions(place).items():
            if check in said:
                assert (one.verdict, one.judgement.seeds) == said[check]
            elif one.judgement.is_decided:
                said[check] = (one.verdict, one.judgement.seeds)

    sweep = next_look(begun(place, *MANY))
    while not sweep.looks[-1].ended:
        jobs = [job for job in sweep.plan.jobs if job.number in sweep.looks[-1].jobs]
        rng.shuffle(jobs)
        while jobs:
            end(sweep, accuracy, [jobs.pop() for _ in range(min(len(jobs), rng.randint(1, 6)))])
            watch()
        sweep = next_look(sweep)
        watch()
    assert len(said) > 1


def test_two_sweeps_that_share_an_arm_are_judged_as_each_by_itself(tmp_path: Path) -> None:
    """Whichever copy of a shared run counts."""
    accuracy, places = noisy(EFFECTS, 1.0), [tmp_path / "one", tmp_path / "two"]
    alone = {}
    for place, check, count in (places[0], "rearrange", 3), (places[1], "reinit", 1):
        sweep = begun(place, *DECIDED, "pruner=lt", f"sanity_check=none,{check}")
        for _ in range(count):
            sweep = next_look(sweep)
            end(sweep, accuracy)
        sweep.end()
        alone[check] = questions(place)[check].judgement
    assert not alone["rearrange"].is_decided
    for order in (places, places[::-1]):
        found = questions(*order)
        for check, one in alone.items():
            paired = found[check].judgement.paired
            assert paired.differences == one.paired.differences, check
            assert paired.looks == one.paired.looks, check
    half = next_look(begun(tmp_path / "three", *CHECKED, "tracker=none"))
    end(half, accuracy)  # not yet at its first look, with the same tickets
    assert looks(questions(*places, half.directory)["rearrange"]) == looks(found["rearrange"])


def test_known_tickets_make_p_values_count_double(tmp_path: Path) -> None:
    found = {}
    for name, seen in ("fresh", False), ("seen", True):
        sweep = begun(tmp_path / name / "sweep", *CHECKED)
        if seen:
            entry = sweep.store_dir / "train_ticket" / sweep.later[0].stages[-1].key
            entry.mkdir(parents=True)
            (entry / "manifest.json").touch()
            for note in sweep.store_dir.glob(".sweeps/*"):
                note.unlink()
            (sweep.directory / "sweep.json").unlink()
            sweep = begun(sweep.directory, *CHECKED)
        assert sweep.seen is seen
        sweep = next_look(sweep)
        end(sweep, noisy({"rearrange": -3.0}, 0.8))
        sweep.end()
        found[seen] = questions(sweep.directory)["rearrange"].judgement.paired
    assert found[True].p_different == pytest.approx(2 * (found[False].p_different or 0))


def test_runs_without_a_sweep_are_looked_at_in_order(tmp_path: Path) -> None:
    arms = [*seeds(7, 0, 0.5, 1), *seeds(7, -3, 0.5, 2, check="rearrange")]
    root = write(tmp_path, arms)
    for path in root.rglob("record.json"):
        text = path.read_text().replace('"family": "cell"', '"family": "cell", "until": "decided"')
        path.write_text(text)
    assert looks(questions(root)["rearrange"]) == [(0, 4), (1, 6)]


def test_damaged_looks_are_named_and_the_runs_reported_all_the_same(tmp_path: Path) -> None:
    sweep = next_look(begun(tmp_path / "sweep", *CHECKED))
    end(sweep, noisy({}, 1.0))
    (sweep.directory / growth.NAME).write_text("[{]")
    found = report.make([sweep.directory])
    assert len(found.runs) == 8
    assert any("looks.json: is damaged" in one for one in found.unreadable)


def test_each_question_has_the_looks_of_the_sweep_that_asked_it(tmp_path: Path) -> None:
    """Another sweep may share an arm, with other seeds and at another look."""
    far, near = tmp_path / "far", tmp_path / "near"
    grown(far, noisy({"rearrange": 0.5}, 1.0), *CHECKED)
    checks = (*DECIDED, "pruner=lt", "sanity_check=none,reinit", "seed=100")
    grown(near, noisy({"reinit": -9.0}, 0.3), *checks)
    alone = questions(near)["reinit"].judgement
    assert alone.is_decided
    for places in (far, near), (near, far):
        among = questions(*places)["reinit"].judgement
        assert (among.verdict, among.seeds) == (alone.verdict, alone.seeds)


def test_a_run_that_failed_and_is_run_again_belongs_to_the_next_look(tmp_path: Path) -> None:
    place, fine = tmp_path / "sweep", noisy({"rearrange": -5.0}, 0.1)

    def broken(job: Job) -> float | None:
        return None if (job.seed, job.choices["sanity_check"]) == (3, "rearrange") else fine(job)

    sweep = next_look(begun(place, *CHECKED))
    end(sweep, broken)
    next_look(sweep)
    before = questions(place)["rearrange"].judgement
    assert (before.is_decided, before.seeds) == (True, 3)
    end(sweep, lambda job: 99.0 if job.seed == 3 else fine(job))  # which would have decided nothing
    after = questions(place)["rearrange"].judgement
    assert (after.verdict, after.seeds) == (before.verdict, 3)
    assert [look.seeds for look in after.paired.looks] == [3]


def test_a_family_keeps_its_size_whatever_comes_of_an_arm(tmp_path: Path) -> None:
    """Tickets of another size have no verdict, and make the others' no cheaper."""
    grown(tmp_path / "sweep", noisy({"shuffle_weights": -0.9}, 0.3), *MANY)
    before = questions(tmp_path / "sweep")
    assert {one.judgement.family for one in before.values()} == {3}
    for path in (tmp_path / "sweep").glob("*reinit*/record.json"):
        content = json.loads(path.read_text())
        for counts in (content["ticket"], content["ticket"]["layers"][2]):
            counts["kept"] -= 50
        path.write_text(json.dumps(content))
    after = questions(tmp_path / "sweep")
    assert after["reinit"].judgement.verdict is Verdict.NONE
    for check in ("rearrange", "shuffle_weights"):
        one, other = before[check].judgement, after[check].judgement
        assert (other.verdict, other.seeds, other.level) == (one.verdict, one.seeds, one.level)


def test_why_it_ended_and_what_was_given_up_are_said(tmp_path: Path) -> None:
    place = tmp_path / "sweep"
    grown(place, noisy({}, 9.0), *CHECKED)
    found = report.make([place])
    (question,) = found.questions
    assert not question.judgement.is_open
    assert tables.note(question).startswith("given up")
    (said,) = [note for note in found.notes if "no more seeds" in note]
    assert said.endswith("0 of 1 question decided, 1 given up")
    assert "1 given up" in heading(sweeps.read(place), found)
