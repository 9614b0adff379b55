"""A sweep's files are data: what stands in them is shown or named, and nothing else touched."""

import contextlib
import dataclasses
import io
import json
from pathlib import Path
from typing import Any

import mutating
import pytest
import watching
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from planning import plan_of

from sanity.core.errors import SweepError
from sanity.sweep import sweep as sweeps
from sanity.sweep.__main__ import main
from sanity.sweep.slurm import cluster
from sanity.sweep.sweep import Submission, Sweep

FAILED = {"status": "failed", "reason": "it broke", "stages": {}, "metrics": {}}


@pytest.fixture
def sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sweep:
    """Four jobs of which one has failed, one was submitted, and a failed run beside the sweep."""

    def away(*_: str) -> str:
        raise SweepError("squeue: not on this machine")

    monkeypatch.setattr(cluster, "_ask", away)
    plan = plan_of("pruner=magnitude,snip", "seed=0,1", "ratio.sparsity=0.9")
    places = (tmp_path / "sweep", tmp_path / "store")
    found = Sweep(
        places[0],
        plan,
        sweeps.identity_of(plan),
        "s",
        places[1],
        "local",
        (),
        None,
        None,
        (),
        "now",
    )
    found.write()
    found.note_submissions([Submission("9_0", job=1), Submission("8", stage="a")])
    for directory in (found.directory_of(plan.jobs[0]), tmp_path / "x", tmp_path / "sweep" / "x"):
        directory.mkdir()
        (directory / "record.json").write_text(json.dumps(FAILED))
    return found


def told(*arguments: str) -> None:
    """``python -m sanity.sweep`` shows something, or complains in lines that can be read."""
    stdout, stderr = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
        code = main(arguments)
    assert code in (0, 1)
    complaints = stderr.getvalue().splitlines()
    assert all(line.startswith("sanity.sweep: ") and line.isprintable() for line in complaints)
    assert stdout.getvalue() or complaints
    assert "\x1b" not in stdout.getvalue()
    stdout.getvalue().encode()


def looked_at(sweep: Sweep) -> None:
    """Everything that reads a sweep's files, and what removes failed records by them."""
    place, store = str(sweep.directory), str(sweep.store_dir)
    with watching.only_below(place, store):
        told("status", place)
        told("status", place, "--json", "--all")
        told("list", "--store-dir", store)
        assert sweeps.known(sweep.store_dir) in ([], [sweep.directory])
        assert sweeps.earlier(sweep.store_dir, sweep.identity) in (None, sweep.directory)
        with contextlib.suppress(SweepError):
            found = sweeps.read(sweep.directory)
            found.forget_failures(found.plan.jobs)
            places = [found.directory_of(job).resolve() for job in found.plan.jobs]
            assert all(sweep.directory.resolve() in place.parents for place in places)
    assert (sweep.directory.parent / "x" / "record.json").exists()


fuzz = settings(
    max_examples=watching.examples(100),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@fuzz
@given(data=st.data())
def test_any_sweep(data: st.DataObject, sweep: Sweep) -> None:
    path = sweep.directory / sweeps.NAME
    before = path.read_text()
    try:
        content = json.loads(before)
        path.write_text(json.dumps(data.draw(mutating.mutations(content))))
        looked_at(sweep)
        content["jobs"][0] = data.draw(mutating.mutations(content["jobs"][0]))
        path.write_text(json.dumps(content))
        looked_at(sweep)
        path.write_bytes(data.draw(mutating.cuts(before)))
        looked_at(sweep)
    finally:
        path.write_text(before)


@fuzz
@given(data=st.data())
def test_any_submissions_notes_and_records(data: st.DataObject, sweep: Sweep) -> None:
    (note,) = sweep.store_dir.rglob(f"{sweep.identity}-*.json")
    paths = [
        note,
        sweep.cluster_directory / "submissions.jsonl",
        sweep.directory_of(sweep.plan.jobs[0]) / "record.json",
    ]
    before = [path.read_text() for path in paths]
    try:
        for path, text in zip(paths, before, strict=True):
            lines = text.split("\n") if path.suffix == ".jsonl" else [text]
            found = [json.dumps(data.draw(changed(line))) for line in lines if line]
            path.write_text("\n".join(found))
        looked_at(sweep)
        for path, text in zip(paths, before, strict=True):
            path.write_bytes(data.draw(mutating.cuts(text)))
        looked_at(sweep)
    finally:
        for path, text in zip(paths, before, strict=True):
            path.write_text(text)


def changed(line: str) -> st.SearchStrategy[Any]:
    return mutating.mutations(json.loads(line)) | mutating.values | st.just(json.loads(line))


@pytest.mark.parametrize("directory", ["../x", "/etc", "a/../../x", ".", "", "a\nb"])
def test_a_job_outside_of_its_sweep_is_refused(directory: str, sweep: Sweep) -> None:
    first, *others = sweep.plan.jobs
    jobs = (dataclasses.replace(first, directory=directory), *others)
    dataclasses.replace(sweep, plan=dataclasses.replace(sweep.plan, jobs=jobs)).write()
    with pytest.raises(SweepError, match=r"the directory of a job, .* is not below it"):
        sweeps.read(sweep.directory)


@pytest.mark.parametrize(
    "field", [{"name": "../x"}, {"key": "../../../x"}, {"kind": "a/b"}, {"key": "A" * 20}]
)
def test_a_stage_that_names_no_place_is_refused(field: dict[str, str], sweep: Sweep) -> None:
    path = sweep.directory / sweeps.NAME
    content = json.loads(path.read_text())
    content["jobs"][0]["stages"][0] |= field
    path.write_text(json.dumps(content))
    with pytest.raises(SweepError, match="names no stage"):
        sweeps.read(sweep.directory)


def test_a_damaged_sweep_does_not_hide_the_others(
    sweep: Sweep, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = dataclasses.replace(sweep, directory=tmp_path / "other", identity="0" * 20)
    other.write()
    (sweep.directory / sweeps.NAME).write_text("{")
    assert main(["list", "--store-dir", str(sweep.store_dir)]) == 1
    said = capsys.readouterr()
    assert str(other.directory) in said.out
    assert said.err.startswith(f"sanity.sweep: {sweep.directory / sweeps.NAME}: is damaged (")
