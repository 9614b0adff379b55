"""What sbatch is called with, by a stand-in that notes it; tests/slurm has the real one."""

import os
import pickle
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sanity.core.errors import SweepError
from sanity.sweep.slurm import submitted
from sanity.sweep.slurm.sbatch import Full, exported, options_of, sbatch

NOTED = r"""
printf '%s\n' "$@" >"$NOTES/options"
env >"$NOTES/environment"
printf 'Willkommen \344m Cluster\n' >&2
echo "42;cluster"
"""
PARAMETERS = {"timeout_min": 240, "mem_gb": 1.0, "name": "sweep-x", "cpus_per_task": 4}


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Commands of SLURM's that do what a test says."""
    place = tmp_path / "bin"
    place.mkdir()
    monkeypatch.setenv("PATH", f"{place}:{os.environ['PATH']}")
    monkeypatch.setenv("NOTES", str(place))

    def write(sbatch: str) -> Path:
        for name, text in {"sbatch": sbatch, "srun": "exit 1"}.items():
            (place / name).write_text(f"#!/bin/bash\n{text}\n")
            (place / name).chmod(0o755)
        return place

    return write


def test_a_job_and_its_files_in_a_folder_whose_name_looks_like_a_pattern(
    stand_in: Any, tmp_path: Path
) -> None:
    notes = stand_in(NOTED)
    folder = tmp_path / "100%j it's %A_%a" / "slurm"
    assert sbatch(folder, ["first", "second"], PARAMETERS, 3) == ["42_0", "42_1"]
    assert {path.name for path in folder.iterdir()} == {
        "42_0_submitted.pkl",
        "42_1_submitted.pkl",
        "42_submission.sh",
    }
    with submitted.task_file(folder, "42_1").open("rb") as file:
        assert pickle.load(file).function == "second"
    options = (notes / "options").read_text().splitlines()
    assert f"--output={tmp_path}/100%%j it's %%A_%%a/slurm/%A_%a_0_log.out" in options
    assert "--array=0-1%2" in options
    script = (folder / "42_submission.sh").read_text()
    assert options_of(script) == options[1:-1], "the same stands in the script"
    command = script[script.index("srun ") :]
    for part in ("--export=ALL", "--ntasks=1", "--nodes=1", "--cpus-per-task=4"):
        assert f" {part} " in command
    words = subprocess.run(["bash", "-c", f"printf '%s\\n' {command.strip()}"], capture_output=True)
    assert words.stdout.decode().splitlines()[-3:] == [
        "-m",
        "sanity.sweep.slurm.submitted",
        str(folder),
    ]


def test_a_single_job_is_no_array(stand_in: Any, tmp_path: Path) -> None:
    notes = stand_in(NOTED)
    assert sbatch(tmp_path / "slurm", ["only"], PARAMETERS, 3) == ["42"]
    options = (notes / "options").read_text().splitlines()
    assert f"--output={tmp_path}/slurm/%j_0_log.out" in options
    assert not [option for option in options if option.startswith("--array")]
    assert (tmp_path / "slurm" / "42_submitted.pkl").exists()


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (r"sbatch: error: D\351passement de quota", SweepError),
        (r"sbatch: error: QOSMaxSubmitJobPerUserLimit d\351pass\351", Full),
    ],
)
def test_what_a_site_says_in_its_own_encoding_is_told(
    stand_in: Any, tmp_path: Path, said: str, error: type[Exception]
) -> None:
    stand_in(f"printf '{said}\\n' >&2; exit 1")
    with pytest.raises(error, match=r"[Dd]\ufffdpass"):
        sbatch(tmp_path / "slurm", ["only"], PARAMETERS, 3)
    assert list((tmp_path / "slurm").iterdir()) == [], "nothing is left of it"


def test_a_parameter_that_submitit_does_not_know_is_named(stand_in: Any, tmp_path: Path) -> None:
    stand_in(NOTED)
    with pytest.raises(SweepError, match=r"parameter.*'colour'"):
        sbatch(tmp_path, ["only"], PARAMETERS | {"slurm_colour": "red"}, 3)


@pytest.mark.parametrize(
    ("wanted", "handed_on"),
    [
        (None, None),
        ("ALL", "ALL"),
        ("all,COLOUR=red", "all,COLOUR=red"),
        ("NONE", "SANITY_DATA_DIR,WANDB_MODE"),
        ("nil", "SANITY_DATA_DIR,WANDB_MODE"),
        ("HOME,COLOUR=red", "HOME,COLOUR=red,SANITY_DATA_DIR,WANDB_MODE"),
    ],
)
def test_variables_that_settings_read_are_handed_on_whatever_else_is(
    wanted: str | None, handed_on: str | None
) -> None:
    variables = {"HOME": "/home/me", "WANDB_MODE": "offline", "SANITY_DATA_DIR": "/data"}
    assert exported(wanted, variables) == handed_on
    assert exported(wanted, {"HOME": "/home/me"}) == wanted


@pytest.mark.parametrize("where", ["variable", "option"])
def test_an_export_is_the_jobs_own(
    stand_in: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    notes = stand_in(NOTED)
    monkeypatch.setenv("WANDB_PROJECT", "mine")
    own = {"slurm_additional_parameters": {"export": "NONE"}} if where == "option" else {}
    if where == "variable":
        monkeypatch.setenv("SBATCH_EXPORT", "NONE")
    sbatch(tmp_path / "slurm", ["only"], PARAMETERS | own, 3)
    (export,) = [
        line for line in (notes / "options").read_text().splitlines() if "--export" in line
    ]
    assert "WANDB_PROJECT" in export.removeprefix("--export=").split(",")
    assert "NONE" not in export


def test_a_job_runs_the_task_that_is_named_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from submitit.core.utils import DelayedSubmission

    seen: list[str] = []
    folder = tmp_path / "%j"
    folder.mkdir()
    monkeypatch.setenv("SLURM_JOB_ID", "9")
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "7")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "3")
    monkeypatch.setattr("signal.signal", lambda *_: None)
    task = DelayedSubmission(lambda: None)
    task.dump(submitted.task_file(folder, "7_3"))
    monkeypatch.setattr(
        DelayedSubmission,
        "load",
        lambda path: SimpleNamespace(result=lambda: seen.append(str(path))),
    )
    submitted.main(folder)
    assert seen == [f"{folder}/7_3_submitted.pkl"]
