"""Sweeps that grow: how they are planned, what they remember, and what was known before."""

import contextlib
import dataclasses
import json
from pathlib import Path
from typing import Any

import mutating
import processes
import pytest
import watching
from growing import CHECKED, DECIDED, begun, end, noisy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from planning import configuration, loader_of, plan_of
from sweep.test_launchers import TINY, command

from sanity.core.errors import ConfigError, SanityError, SweepError
from sanity.decide.run import advance
from sanity.sweep import growth, launch
from sanity.sweep import sweep as sweeps
from sanity.sweep.__main__ import main
from sanity.sweep.plan import Plan
from sanity.sweep.sweep import Sweep


def seeds_in(plan: Plan) -> dict[int, int]:
    """How many jobs each seed has."""
    return {seed: sum(job.seed == seed for job in plan.jobs) for seed in plan.seeds}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("seed=3", (3, 4, 5, 6, 7, 8)),
        ("seed=0,1,2", (0, 1, 2, 3, 4, 5)),
        ("seed=7,2", (2, 7, 8, 9, 10, 11)),
        ("seed=range(20)", (0, 1, 2, 3, 4, 5)),
        ("++seed=5", (5, 6, 7, 8, 9, 10)),
        ("threads=1", (0, 1, 2, 3, 4, 5)),
    ],
)
def test_seeds_go_on_from_those_of_the_grid(given: str, expected: tuple[int, ...]) -> None:
    plan = plan_of(*CHECKED, given, "sweep.most_seeds=8")
    assert plan.seeds == expected
    assert seeds_in(plan) == dict.fromkeys(expected, 2)
    for job in plan.jobs:
        assert job.directory.endswith(f"_s{job.seed}")


def test_more_seeds_move_no_job() -> None:
    grid = (*DECIDED, "sweep=quickstart", "seed=3")
    few, many = (plan_of(*grid, f"sweep.most_seeds={most}") for most in (6, 19))
    assert few.seeds == many.seeds[:6]
    assert len(many.jobs) > 3 * len(few.jobs) - 1
    assert few.jobs == many.jobs[: len(few.jobs)]
    assert sweeps.identity_of(few) == sweeps.identity_of(many)


def test_controls_grow_too() -> None:
    plan = plan_of(*DECIDED, "sweep=quickstart")
    beside = [job for job in plan.jobs if job.choices["rewind"] == "learning_rate"]
    assert beside or any(job.choices["pruner"] == "random" for job in plan.jobs)
    arms = {job.overrides[:-1] for job in plan.jobs}
    assert len(plan.jobs) == len(arms) * 28
    assert len({*seeds_in(plan).values()}) == 1


def test_sweeps_of_other_seeds_are_others() -> None:
    """Though they begin with the same ones."""
    plans = [plan_of(*CHECKED, seeds) for seeds in ("seed=0", "seed=0,1,2,3,4", "seed=0,1,2,3,9")]
    first, same, other = map(sweeps.identity_of, plans)
    assert first == same != other
    assert plans[2].seeds[:6] == (0, 1, 2, 3, 9, 10)


def test_patterns_with_a_seed_are_filled_for_each(tmp_path: Path) -> None:
    pattern = f"pruner.path='{tmp_path}/{{seed}}.safetensors'"
    with pytest.raises(SanityError) as missing:
        plan_of(*DECIDED, "pruner=from_checkpoint", pattern, "sanity_check=none,rearrange")
    assert f"{tmp_path}/0.safetensors" in str(missing.value)


@pytest.mark.parametrize(
    "seed", ["-1", "1.5", "abc", "null", "3,-2", "1e3", "[1,2]", "'1 2'", "1" * 19]
)
def test_odd_seeds_are_refused(seed: str) -> None:
    with pytest.raises(ConfigError, match=r"^seed=.*: must be a whole number, to go on from$"):
        plan_of(*CHECKED, f"seed={seed}")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("verdict.margin=0.5,1", r"^verdict: a sweep that goes on .* has one set of these"),
        ("verdict.until=decided,seeds", r"^verdict: a sweep that goes on .* has one set"),
        ("verdict.until=seeds,decided", r"^verdict: a sweep that goes on .* has one set"),
        ("verdict.margin=much", r"^verdict\.margin=much: must be "),
        (
            "verdict.until=never",
            r"^verdict\.until=never: no such choice; choose from decided",
        ),
        ("pruner=random", r"^verdict\.until=decided: there is nothing to decide"),
        ("sanity_check=rearrange", r"^verdict\.until=decided: there is nothing to decide"),
        ("sanity_check=none", r"^verdict\.until=decided: there is nothing to decide"),
        ("until=prune", r"^verdict\.until=decided: no job trains a ticket"),
        ("sweep.most_seeds=3", r"^sweep\.most_seeds=3: must be a whole number, 4 or more"),
        ("sweep.most_seeds=2000000", r"^sweep\.most_seeds=2000000: with 2 arms that may be 4,0"),
        ("sweep.budget=0", r"^sweep\.budget=0(\.0)?: must be a time such as 90m, 2h or 1h30m$"),
        ("sweep.budget=abc", r"^sweep\.budget=abc: must be a time"),
        ("sweep.budget=-2h", r"^sweep\.budget=-2h: must be a time"),
        ("sweep.budget=90", r"^sweep\.budget=90(\.0)?: must be a time"),
        (f"sweep.budget={10**400}d", r"^sweep\.budget=1000*d: must be a time"),
        ("sweep.budget=[1]", r"^sweep\.budget=\[1\]: must be "),
    ],
)
def test_what_cannot_grow_is_refused(wrong: str, message: str) -> None:
    name = wrong.split("=")[0]
    without = [text for text in CHECKED if not text.startswith(f"{name}=")]
    if name == "pruner":
        without = [*DECIDED, "sanity_check=none"]
    with pytest.raises(ConfigError, match=message):
        plan_of(*without, wrong)


@pytest.mark.parametrize(("limit", "seconds"), [("90m", 5400), ("1h30m", 5400), ("0.5d", 43200)])
def test_a_budget_is_a_time(limit: str, seconds: float) -> None:
    assert growth.limits(configuration(loader_of(), f"sweep.budget={limit}")).seconds == seconds


@pytest.mark.parametrize("limit", ["sweep.budget=2h", "sweep.most_seeds=20"])
def test_limits_of_what_does_not_grow_are_refused(limit: str) -> None:
    with pytest.raises(ConfigError, match=rf"^{limit}: counts only where seeds are added"):
        plan_of("pruner=lt", "seed=0,1", limit)
    with pytest.raises(ConfigError, match=r"^verdict\.margin=much: "):  # which is what is wrong
        plan_of("pruner=lt", "verdict.until=decided", "verdict.margin=much", limit)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-m", *CHECKED, "sweep.budget=abc"], "sweep.budget=abc: must be a time such as"),
        (["-m", *CHECKED, "seed=abc"], "seed=abc: must be a whole number, to go on from"),
        (["-m", TINY[-1], "sweep.budget=2h"], "sweep.budget=2h: counts only where seeds are added"),
        (["sweep.budget=2h"], "sweep.budget=2h: is of sweeps, and this is a single run"),
    ],
)
def test_a_mistake_is_one_line_before_anything_starts(
    tmp_path: Path, arguments: list[str], message: str
) -> None:
    done = processes.run(command(*TINY[:-1], *arguments), tmp_path)
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stderr.startswith(f"run.py: {message}")
    assert len(done.stderr.splitlines()) == 1
    assert not list(tmp_path.rglob("metrics.jsonl"))


def test_a_plan_starts_nothing(tmp_path: Path) -> None:
    done = processes.run(command(*TINY[:-1], "-m", *CHECKED, "sweep.plan=true"), tmp_path)
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.iterdir()) == []


def opened(place: Path, *arguments: str) -> Sweep:
    """A sweep as its command opens it."""
    loader = loader_of()
    named = ("hydra/launcher=basic", f"hydra.sweep.dir={place}", f"store_dir={place.parent}/store")
    config = configuration(loader, *arguments, *named)
    config.hydra.overrides.hydra = [f"hydra.sweep.dir={place}"]
    return launch.open_sweep(config, plan_of(*arguments))


def test_it_takes_no_seeds_back(tmp_path: Path) -> None:
    sweep = opened(tmp_path / "sweep", *CHECKED)
    for _ in range(2):
        sweep = advance(sweep, {job.number for job in sweep.plan.jobs}).sweep
        end(sweep, noisy({}, 2.0))
    assert [look.seeds for look in sweep.looks] == [4, 6]
    message = rf"^sweep\.most_seeds=5: the sweep in {tmp_path}/sweep has 6 already$"
    with pytest.raises(ConfigError, match=message):
        opened(tmp_path / "sweep", *CHECKED, "sweep.most_seeds=5")
    assert opened(tmp_path / "sweep", *CHECKED, "sweep.most_seeds=6").looks == sweep.looks


def stored(sweep: Sweep, number: int, stage: int = -1) -> None:
    """Let the store have a stage of a job."""
    found = sorted((*sweep.plan.jobs, *sweep.later), key=lambda job: job.number)[number]
    entry = sweep.store_dir / found.stages[stage].kind / found.stages[stage].key
    entry.mkdir(parents=True, exist_ok=True)
    (entry / "manifest.json").touch()


def test_known_tickets_are_seen_and_those_of_the_same_looks_are_not(tmp_path: Path) -> None:
    store = tmp_path / "store"
    first = begun(tmp_path / "first", *CHECKED)
    assert not first.seen
    stored(first, 0, stage=0)
    assert not growth.seen(plan_of(*CHECKED), store), "dense networks tell nothing of tickets"
    stored(first, 0)
    stored(first, 3)
    assert not begun(tmp_path / "first", *CHECKED).seen, "they are its own"
    assert not begun(tmp_path / "second", *CHECKED, "sweep.most_seeds=60").seen
    other = (*DECIDED, "pruner=lt", "sanity_check=none,reinit")
    assert not begun(tmp_path / "other", *other).seen, "it had the same looks"
    assert begun(tmp_path / "later", *CHECKED, "seed=2").seen, "it had others"
    unlike = begun(tmp_path / "unlike", *DECIDED, "pruner=snip", "sanity_check=none,reinit")
    assert not unlike.seen


def test_tickets_of_a_single_run_are_seen(tmp_path: Path) -> None:
    sweep = begun(tmp_path / "there" / "sweep", *CHECKED)
    found = dataclasses.replace(sweep, store_dir=tmp_path / "store")
    stored(found, 1)
    assert begun(tmp_path / "sweep", *CHECKED).seen
    assert begun(tmp_path / "sweep", *CHECKED).seen, "once and for all"


def test_tickets_of_a_sweep_of_fixed_size_are_seen(tmp_path: Path) -> None:
    fixed = [text for text in CHECKED if not text.startswith(("sweep.", "verdict.until"))]
    before = begun(tmp_path / "fixed", *fixed, "seed=0,1,2")
    assert not before.grows
    assert not begun(tmp_path / "fresh", *CHECKED).seen, "it has trained nothing yet"
    stored(before, 0)
    assert begun(tmp_path / "sweep", *CHECKED).seen
    assert not begun(tmp_path / "fresh", *CHECKED).seen, "it began before"


def test_a_sweep_of_fixed_size_is_not_taken_for_the_beginning_of_one_that_grows(
    tmp_path: Path,
) -> None:
    fixed = [text for text in CHECKED if not text.startswith(("sweep.", "verdict.until"))]
    before = begun(tmp_path / "sweep", *fixed, "seed=0,1,2,3")
    stored(before, 0)
    assert begun(before.directory, *CHECKED).seen


@pytest.mark.parametrize("note", ["", "[]", '"x"', '{"stages": [1]}', '{"stages": null}', "{}"])
def test_damaged_notes_tell_nothing(tmp_path: Path, note: str) -> None:
    sweep = begun(tmp_path / "sweep", *CHECKED)
    stored(sweep, 0)
    (path,) = sweep.store_dir.glob(".sweeps/*")
    assert not growth.seen(plan_of(*CHECKED), sweep.store_dir)
    path.write_text(note)
    assert growth.seen(plan_of(*CHECKED), sweep.store_dir), "whose it is, nobody knows"


@pytest.fixture(scope="module")
def looked(tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    """A sweep in its second look."""
    sweep = advance(begun(tmp_path_factory.mktemp("looked") / "sweep", *CHECKED), ()).sweep
    end(sweep, noisy({}, 2.0))
    return advance(sweep, {job.number for job in sweep.plan.jobs}).sweep


fuzz = settings(
    max_examples=watching.examples(60),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def looked_at(sweep: Sweep, capsys: pytest.CaptureFixture[str]) -> None:
    """What reads looks, as far as they can be told; nothing else is written meanwhile."""
    with watching.only_below(sweep.directory, sweep.store_dir):
        code = main(["status", str(sweep.directory)])
        said = capsys.readouterr()
        assert code in (0, 1)
        assert all(line.startswith("sanity.sweep: ") for line in said.err.splitlines())
        assert all(line.isprintable() for line in said.err.splitlines())
        with contextlib.suppress(SweepError):
            sweeps.read(sweep.directory)


@fuzz
@given(data=st.data())
def test_any_looks(data: st.DataObject, looked: Sweep, capsys: pytest.CaptureFixture[str]) -> None:
    path = looked.directory / growth.NAME
    before = path.read_text()
    try:
        content = data.draw(mutating.mutations(json.loads(before)) | mutating.values)
        path.write_text(json.dumps(content))
        looked_at(looked, capsys)
        path.write_bytes(data.draw(mutating.cuts(before)))
        looked_at(looked, capsys)
    finally:
        path.write_text(before)


@fuzz
@given(data=st.data())
def test_any_sweep_that_grows(
    data: st.DataObject, looked: Sweep, capsys: pytest.CaptureFixture[str]
) -> None:
    path = looked.directory / sweeps.NAME
    before = path.read_text()
    content: dict[str, Any] = json.loads(before)
    try:
        for name in ("seeds", "budget", "seen"):
            odd = data.draw(mutating.values | st.just([3, 3]) | st.just(10**400))
            path.write_text(json.dumps(content | {name: odd}))
            looked_at(looked, capsys)
    finally:
        path.write_text(before)


@pytest.mark.parametrize(
    ("seeds", "seconds"),
    [([4, 5], 0), ([6, 4], 0), ([4, 4], 0), ([0], 0), ([-4], 0), ([4], -1), ([4], 10**400)],
)
def test_looks_that_make_no_sense_are_damaged(
    tmp_path: Path, seeds: list[int], seconds: float
) -> None:
    looks = [
        {"seeds": one, "jobs": [], "seconds": seconds, "ended": True, "asked": 0} for one in seeds
    ]
    (tmp_path / growth.NAME).write_text(json.dumps(looks))
    with pytest.raises(SweepError, match=r"looks\.json: is damaged \("):
        growth.read(tmp_path)


def test_sweeps_of_before_are_read(looked: Sweep) -> None:
    path = looked.directory / sweeps.NAME
    before = path.read_text()
    content = json.loads(before)
    try:
        for name in ("seeds", "budget", "seen"):
            del content[name]
        path.write_text(json.dumps(content))
        found = sweeps.read(looked.directory)
        assert not found.grows
        assert (found.looks, found.later, found.budget, found.seen) == ((), (), None, False)
        assert len(found.plan.jobs) == len(content["jobs"])
    finally:
        path.write_text(before)
