"""Options may stand anywhere among settings, in all forms that argparse knows."""

from pathlib import Path

import pytest

from sanity.cli.arguments import arranged
from sanity.core.errors import ConfigError

HERE = Path.cwd()


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("a=1 -m b=2", ["--multirun", "a=1", "b=2"]),
        ("a=1 --multirun b=2", ["--multirun", "a=1", "b=2"]),
        ("a=1 --multi b=2", ["--multirun", "a=1", "b=2"]),
        ("a=1 --cfg job b=2", ["--cfg=job", "a=1", "b=2"]),
        ("a=1 -c job b=2", ["--cfg=job", "a=1", "b=2"]),
        ("~a +b=1 lt", ["~a", "+b=1", "lt"]),
        ("--config-dir=mine a=1", [f"--config-dir={HERE}/mine", "a=1"]),
        ("a=1 -cd x=y b=2", [f"--config-dir={HERE}/x=y", "a=1", "b=2"]),
        ("a=1 --config-dir x=y", [f"--config-dir={HERE}/x=y", "a=1"]),
        ("-- a=1 b=2", ["a=1", "b=2"]),
        ("seed=-1 x=-m", ["seed=-1", "x=-m"]),
    ],
)
def test_options_come_first_and_settings_stay_in_their_order(
    typed: str, expected: list[str]
) -> None:
    assert arranged(typed.split()) == expected


def test_what_stands_behind_two_dashes_are_settings() -> None:
    assert arranged(["--", "-m=1", "a=1"]) == ["--", "-m=1", "a=1"]


@pytest.mark.parametrize(
    ("typed", "line"),
    [
        ("--seed=1", "--seed=1: no such option; settings are given without dashes, as seed=1"),
        ("--fast", "--fast: no such option; settings are given without dashes"),
        ("--config-dir", "argument --config-dir/-cd: expected one argument; see --help"),
        ("--experimental-rerun=none.pickle", "--experimental-rerun=none.pickle: no such file"),
        (
            "--experimental-rerun=none.pickle seed=1",
            "seed=1: is of no effect beside --experimental-rerun",
        ),
    ],
)
def test_what_is_no_option_is_one_line(typed: str, line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        arranged(typed.split())
    assert str(caught.value).startswith(line)


def test_a_run_may_be_repeated_from_its_file(tmp_path: Path) -> None:
    file = tmp_path / "config.pickle"
    file.touch()
    for typed in (["--experimental-rerun", str(file)], [f"--experimental-rerun={file}"]):
        assert arranged(typed) == [f"--experimental-rerun={file}"]
