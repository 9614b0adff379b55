"""Setup lines of a job, run by bash: one that fails ends the job and is noted, others do not."""

import os
import subprocess
from pathlib import Path

import pytest

from sanity.sweep.slurm import setup_lines


def bash(folder: Path, *lines: str) -> subprocess.CompletedProcess[str]:
    """Run a job's script with these setup lines, outside of SLURM."""
    script = folder / "script.sh"
    script.write_text("\n".join([*setup_lines.guarded(lines, folder), "echo reached"]))
    variables = os.environ | {"SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "3"}
    return subprocess.run(
        ["bash", script], env=variables, cwd=folder, capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (["module load cuda/99"], "module load cuda/99 ended with exit code 127"),
        (["export A=1", "test -e nowhere", "echo on"], "test -e nowhere ended with exit code 1"),
        (["true && false"], "true && false ended with exit code 1"),
        (["f() { return 4; }", "f a"], "f a ended with exit code 4"),
        (["if true; then", "  false", "fi"], "false ended with exit code 1"),
        (["source missing.sh"], "source missing.sh ended with exit code 1"),
        (["exit 0"], "exit 0 ended with exit code 0"),
        (["set -u", "echo $UNSET_BY_ALL"], "echo $UNSET_BY_ALL ended with exit code 1"),
        (["set -e", "false"], "false ended with exit code 1"),
        (
            ["echo 'é' && false  # 5% of $HOME"],
            "echo 'é' && false  # 5% of $HOME ended with exit code 1",
        ),
    ],
)
def test_a_line_that_fails_ends_the_job_and_says_which(
    tmp_path: Path, lines: list[str], reason: str
) -> None:
    done = bash(tmp_path, *lines)
    assert done.returncode != 0
    assert "reached" not in done.stdout
    assert setup_lines.failure(tmp_path, "7_3") == f"hydra.launcher.setup: {reason}"
    assert f"hydra.launcher.setup: {reason}; the job ends here" in done.stderr


@pytest.mark.parametrize(
    "lines",
    [
        ["export A=1"],
        ["false || true"],
        ["test -e nowhere && export B=1"],
        ["if test -e nowhere; then", "export B=1", "fi"],
        ["while false; do", "true", "done", "case x in", "y) false;;", "esac"],
        ["cat <<END", "false", "END"],
        ["f() { false; true; }", "f"],  # what a function makes of it is its own business
        ["source profile.sh"],
        ["true \\", "  and more"],
        ["trap - ERR", "false"],
    ],
)
def test_what_may_fail_may_go_on_failing(tmp_path: Path, lines: list[str]) -> None:
    """Profiles and modules test for things that are not there, as they always have."""
    (tmp_path / "profile.sh").write_text("grep nothing /dev/null\n[ -e nowhere ] && A=1\ntrue\n")
    done = bash(tmp_path, *lines)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("reached\n")
    assert setup_lines.failure(tmp_path, "7_3") == ""


def test_what_comes_after_the_setup_may_fail(tmp_path: Path) -> None:
    script = [*setup_lines.guarded(["true"], tmp_path), "false", "echo reached"]
    done = subprocess.run(["bash", "-c", "\n".join(script)], capture_output=True, text=True)
    assert done.stdout == "reached\n"
    assert list(tmp_path.iterdir()) == []


def test_a_job_that_starts_again_forgets_that_its_setup_failed(tmp_path: Path) -> None:
    bash(tmp_path, "test -e there")
    assert setup_lines.failure(tmp_path, "7_3")
    (tmp_path / "there").touch()
    bash(tmp_path, "test -e there")
    assert setup_lines.failure(tmp_path, "7_3") == ""


def test_without_lines_a_script_has_none(tmp_path: Path) -> None:
    assert setup_lines.guarded([], tmp_path) == []


def test_a_note_that_is_long_or_no_text_is_a_line_all_the_same(tmp_path: Path) -> None:
    note = tmp_path / f"8{setup_lines.NOTE}"
    note.write_bytes(b"caf\xe9\n" + b"x" * 5000 + b" ended with exit code 1")
    reason = setup_lines.failure(tmp_path, "8")
    assert reason.startswith("hydra.launcher.setup: caf\N{REPLACEMENT CHARACTER} xxx")
    assert reason.endswith("... ended with exit code 1")
    assert len(reason) < 300
