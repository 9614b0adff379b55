"""A terminal, pipe or log of another encoding costs no run, and no column of a table."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sanity.core import output
from sanity.core.config import PROJECT

TINY = ("arch.widths=[4,8,8]", "training=smoke", "dataset.limit=160", "ratio.sparsity=0.8")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
@pytest.mark.parametrize("errors", ["strict", "surrogateescape"])
def test_any_text_can_be_written(
    encoding: str, errors: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding, errors))
    output.take_any_text()
    print("95.8 ±0.7 █ ü \N{GREEK SMALL LETTER ALPHA} \udcff", flush=True)
    written = raw.getvalue()
    assert written.startswith(b"95.8 ")
    assert written.endswith(b"\xff\n")
    if encoding == "ascii":
        assert written == b"95.8 ~0.7 # \\xfc \\u03b1 \xff\n"


def test_a_letter_stands_for_a_letter() -> None:
    assert {len(plain) for plain in output.PLAIN.values()} == {1}


@pytest.mark.slow
@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "latin-1"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    ],
    ids=["ascii", "latin-1", "C"],
)
def test_runs_sweeps_and_reports_end_as_they_would_in_utf_8(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    (tmp_path / "stör").mkdir()
    named = {**os.environ, "SANITY_STORE_DIR": str(tmp_path / "stör"), **environment}

    def call(*command: str) -> str:
        done = subprocess.run(
            [sys.executable, *command], cwd=tmp_path, env=named, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert b"Error" not in done.stderr
        return done.stdout.decode("latin-1")

    grid = ("-m", *TINY, "device=cpu", "pruner=random", "sanity_check=none,rearrange", "seed=0,1")
    assert "4 done" in call(str(PROJECT / "run.py"), *grid)
    (sweep,) = tmp_path.glob("multirun/*/*")
    assert "4 done" in call("-m", "sanity.sweep", "status", str(sweep))
    assert "report: " in call("-m", "sanity.report", str(sweep))
    store_dir = json.loads((sweep / "sweep.json").read_text(encoding="utf-8"))["store_dir"]
    assert os.fsencode(store_dir) == os.fsencode(tmp_path / "stör")
