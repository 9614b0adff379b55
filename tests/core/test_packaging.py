"""What is installed elsewhere is whole: files that the code reads beside its modules."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from sanity.core.config import PROJECT


@pytest.mark.slow
def test_a_wheel_has_all_files_that_modules_read(tmp_path: Path) -> None:
    sources = tmp_path / "sources"
    sources.mkdir()
    listed = subprocess.run(
        ["git", "ls-files", "sanity", "pyproject.toml", "README.md", "LICENSE"],
        cwd=PROJECT, capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    for name in listed:
        (sources / name).parent.mkdir(parents=True, exist_ok=True)
        (sources / name).write_bytes((PROJECT / name).read_bytes())
    build = "import setuptools.build_meta as b; print(b.build_wheel('..'))"
    done = subprocess.run(
        [sys.executable, "-c", build], cwd=sources, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    inside = set(zipfile.ZipFile(wheel).namelist())
    wanted = {name for name in listed if name.startswith("sanity/") and not name.endswith(".md")}
    wanted |= {"sanity/report/output/templates/report.md"}
    assert wanted <= inside
