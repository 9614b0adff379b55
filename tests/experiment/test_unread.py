"""Every setting is one that somebody reads: what is not is one line, before anything starts."""

import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import processes
import pytest
from composing import command
from omegaconf import DictConfig, OmegaConf

from sanity import pipeline
from sanity.cli import variables
from sanity.core.config import PROJECT
from sanity.core.errors import ConfigError
from sanity.experiment import unread
from sanity.experiment.composition import TOP, references

HEADER = "# @package _global_"
TINY = ("until=prune", "training=smoke", "dataset.limit=160", "device=cpu")
PLAN = (*TINY, "sweep.plan=true")
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes a file of one's own, and returns its path; the directory is ``mine``."""
    monkeypatch.chdir(tmp_path)

    def file(name: str, *lines: str, before: bytes = b"") -> Path:
        path = tmp_path / "mine" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(before + "".join(f"{line}\n" for line in lines).encode("latin-1"))
        return path

    return file


@pytest.fixture
def warned(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was warned of."""
    lines: list[str] = []
    monkeypatch.setattr(
        unread.log, "warning", lambda text, *values: lines.append(str(text) % values)
    )
    return lines


def said(*arguments: str) -> str | None:
    return command("--config-dir", "mine", *arguments)


def test_each_key_of_the_configuration_is_known_to_have_a_reader(
    configure: Callable[..., DictConfig],
) -> None:
    assert {str(key) for key in configure()} == set(TOP)


@pytest.mark.parametrize(
    ("first", "before", "problem"),
    [
        ("", b"", f"lacks '{HEADER}' as its first line"),
        ("# @Package _global_", b"", f"has '# @Package _global_' in line 1; it must be '{HEADER}'"),
        ("# @package global", b"", f"has '# @package global' in line 1; it must be '{HEADER}'"),
        ("# @package _global", b"", f"has '# @package _global' in line 1; it must be '{HEADER}'"),
        (
            "# @package: _global_",
            b"",
            f"has '# @package: _global_' in line 1; it must be '{HEADER}'",
        ),
        ("## @package _global_", b"", "has '## @package _global_' in line 1; it must be"),
        ("# @pakage _global_", b"", f"has '# @pakage _global_' in line 1; it must be '{HEADER}'"),
        ("# package _global_", b"", f"has '# package _global_' in line 1; it must be '{HEADER}'"),
        (HEADER, b"# Mine.\n", f"has '{HEADER}' in line 2; it must be the first line"),
        (HEADER, b"\xef\xbb\xbf", f"has a byte order mark before '{HEADER}'"),
    ],
)
@pytest.mark.parametrize("group", ["experiment", "debug"])
def test_a_header_that_hydra_passes_over_is_shown(
    write: Write, group: str, first: str, before: bytes, problem: str
) -> None:
    path = write(f"{group}/x.yaml", first, "seed: 7", before=before)
    line = said(*TINY, f"{group}=x")
    assert line is not None
    assert line.startswith(f"{path}: {problem}")
    assert "nobody reads its seed" in line


def test_a_header_with_more_in_its_line_is_shown(write: Write) -> None:
    path = write("experiment/x.yaml", f"{HEADER} # mine", "seed: 7")
    line = said(*TINY, "experiment=x")
    assert line is not None
    assert line.startswith(f"{path}: '{HEADER} # mine' is no header")


@pytest.mark.parametrize("before", ["", "\n\n", "  "])
@pytest.mark.parametrize("header", [HEADER, "#@package _global_", "#  @package  _global_"])
def test_what_an_experiment_sets_counts(write: Write, header: str, before: str) -> None:
    write("experiment/x.yaml", f"{before}{header}", "seed: 7", "verdict:", "  margin: 2.0")
    found = []
    line = command(
        *("--config-dir", "mine", "experiment=x", *TINY),
        function=lambda cfg: found.append((cfg.seed, cfg.verdict.margin)),
    )
    assert (line, found) == (None, [(7, 2.0)])


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["sede: 7"], r"sede: no such setting \(did you mean seed\?\).* \(set in {path}\)$"),
        (
            ["epochs: 7"],
            r"epochs: no such setting \(did you mean training\.epochs\?\) \(set in {path}",
        ),
        (
            ["default: []"],
            r"default: no such setting \(did you mean defaults\?\).* \(set in {path}\)$",
        ),
        (
            ["sweep:", "  naem: x"],
            r"sweep\.naem: no such setting \(did you mean name\?\).*{path}\)$",
        ),
        (["training:", "  lrr: 1"], r"training\.lrr: .*\(did you mean lr\?\).* \(set in {path}\)$"),
        (["verdict:", "  margn: 1"], r"verdict\.margn: .*\(did you mean margin\?\).*{path}\)$"),
        (
            ["tracker:", "  wandb:", "    projct: x"],
            r"tracker\.wandb\.projct: .* \(set in {path}\)$",
        ),
        (
            ["ratio:", "  sparsity: 1.5"],
            r"ratio\.sparsity=1\.5: must be in \[0, 1\).* \(set in {path}\)$",
        ),
        (
            ["pruner: snip"],
            r"{path}: 'pruner: snip' chooses no option; .*'- override /pruner: snip'$",
        ),
        (["my:", "  a: 1", "  b: ${my.a}"], r"my: no such setting.* \(set in {path}\)$"),
        (["my:", "  lr: 1", "  wd: 1", "training:", "  lr: ${my.lr}"], r"my: no such setting"),
    ],
)
def test_keys_of_a_file_that_nobody_reads_are_named(
    write: Write, lines: list[str], message: str
) -> None:
    path = write("experiment/x.yaml", HEADER, *lines)
    assert re.match(message.format(path=re.escape(str(path))), said(*TINY, "experiment=x") or "")


@pytest.mark.parametrize(
    "lines",
    [
        ["my:", "  lr: 0.01", "training:", "  lr: ${my.lr}"],
        ["my:", "  a: 0.01", "  lr: ${.a}", "training:", "  lr: ${my.lr}"],
        ["lrs:", "  digits: 0.01", "  other: 0.1", "training:", "  lr: ${lrs.${dataset.name}}"],
        ["lrs:", "  digits: 0.01", "  other: 0.1", "training:", "  lr: ${lrs[${dataset.name}]}"],
        ["my:", "  lr: 0.01", "training:", "  lr: ${oc.select:my.lr,0.1}"],
        ["base: 0.01", "training:", "  milestones: ['${base}']"],
        ["tag: a", "hydra:", "  run:", "    dir: out/${tag}"],
    ],
)
def test_a_key_that_another_setting_refers_to_is_read(write: Write, lines: list[str]) -> None:
    write("experiment/x.yaml", HEADER, *lines)
    assert said(*TINY, "experiment=x") is None


def test_a_key_that_only_the_sweep_refers_to_is_read(write: Write, capsys: object) -> None:
    assert command("-m", *PLAN, "+tag=a", "hydra.sweep.dir=out/${tag}", "seed=0,1") is None
    assert command("+tag=a", "hydra.run.dir=out/${tag}", *TINY) is None


def test_references_of_an_interpolation() -> None:
    found = references("${a.b}/x.y ${..c} ${hydra:d.e} ${f:${g[h]}}", ("k", "l", "m"))
    names = {".".join(key) for key in found}
    assert {"a.b", "k.c", "hydra.d.e", "f", "g.h"} == names


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["+sede=7"], "sede: no such setting (did you mean seed?); choose from "),
        (["+epochs=7"], "epochs: no such setting (did you mean training.epochs?)"),
        (["+sweep.grd.seed=[0]"], "sweep.grd: no such setting (did you mean grid?)"),
        (["+hydra.foo=1"], "hydra.foo: no such setting; choose from "),
        (["+hydra.sweep.foo=1"], "hydra.sweep.foo: no such setting; choose from dir, subdir"),
        (["-m", "+sede=0,1", "sweep.plan=true"], "sede: no such setting (did you mean seed?)"),
        (
            ["sweep=quickstart", "hydra.mode=RUN"],
            "sweep=quickstart: asks for a sweep, hydra.mode=RUN",
        ),
        (["+sweep.grid.seed=[0,1]"], "sweep.grid: "),
        (["hydra/launcher=local"], "hydra/launcher=local: is of sweeps, and this is a single run"),
        (["hydra.sweep.dir=x"], "hydra.sweep.dir=x: is of sweeps, and this is a single run"),
        (
            ["-m", "hydra.run.dir=x"],
            "hydra.run.dir=x: is of single runs; a sweep's is hydra.sweep.dir",
        ),
        (["-m", "sweep=quickstart,battery"], "sweep=quickstart,battery: a command is one sweep"),
        (
            ["sweep=quickstart", "sweep.grid.seed=0,1"],
            "sweep.grid.seed=0,1: a command is one sweep",
        ),
        (["-m", "sweep.name=a,b"], "sweep.name=a,b: a command is one sweep"),
        (
            ["-m", "hydra.sweeper.params.seed=0,1"],
            "hydra.sweeper.params.seed=0,1: a grid is not given",
        ),
        (
            ["-m", "+hydra.sweeper.params.seed=0"],
            "hydra.sweeper.params: no such setting; a grid is",
        ),
        (["-m", "hydra.launcher.partition=a,b"], "hydra.launcher.partition=a,b: a sweep varies"),
        (
            ["-m", "hydra/launcher=local", "+hydra.launcher.njobs=1"],
            "hydra.launcher.njobs: no such",
        ),
        (
            ["-m", "hydra/launcher=slurm", "+hydra.launcher.partion=a", "sweep.plan=true"],
            "hydra.launcher.partion: no such setting (did you mean partition?)",
        ),
        (
            ["-m", "hydra/launcher=slurm", "hydra.launcher.stage={partion:a}", "sweep.plan=true"],
            "hydra.launcher.stage.partion: no such setting (did you mean partition?)",
        ),
    ],
)
def test_what_is_typed_and_nobody_reads_is_named(
    write: Write, arguments: list[str], message: str
) -> None:
    assert (command(*TINY, *arguments) or "").startswith(message)


def test_what_sbatch_reads_is_let_through(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    options = ("hydra/launcher=slurm", "+hydra.launcher.mail_type=FAIL")
    assert command("-m", *PLAN, *options, 'hydra.launcher.partition="a,b"') is None


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["sweep:", "  grid: {seed: [0, 1]}"], f"lacks '{HEADER}' as its first line"),
        (
            [HEADER, "sweep:", "  grd: {seed: [0, 1]}"],
            "sweep.grd: no such setting (did you mean grid?)",
        ),
        ([HEADER, "grid: {seed: [0, 1]}"], "grid: no such setting"),
    ],
)
@pytest.mark.parametrize("mode", [[], ["hydra:", "  mode: MULTIRUN"]])
def test_a_grid_that_nobody_reads_is_no_default_run(
    write: Write, lines: list[str], message: str, mode: list[str]
) -> None:
    path = write("sweep/x.yaml", *lines, *mode)
    line = said(*TINY, "sweep=x") or ""
    assert message in line
    assert str(path) in line


def test_a_grid_without_its_mode_asks_for_it(write: Write) -> None:
    path = write("sweep/x.yaml", HEADER, "sweep:", "  grid: {seed: [0, 1]}")
    line = said(*TINY, "sweep=x")
    assert line == (
        "sweep=x: its grid is for a sweep, and this is a single run; add -m, or "
        f"'hydra: {{mode: MULTIRUN}}' to {path}"
    )
    assert said("-m", *PLAN, "sweep=x") is None


def test_each_swept_file_is_looked_at(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    write("experiment/good.yaml", HEADER, "seed: 7")
    path = write("experiment/bad.yaml", "seed: 7")
    assert (said("-m", *PLAN, "experiment=good,bad") or "").startswith(f"{path}: lacks '{HEADER}'")
    assert said("-m", *PLAN, "experiment=good") is None


def test_a_group_s_file_stands_where_its_group_is_read(write: Write) -> None:
    flat = write("pruner/flat.yaml", HEADER, "_target_: sanity.pruners.lt.LT")
    nested = write("pruner/nested.yaml", "pruner:", "  _target_: sanity.pruners.lt.LT")
    assert (said(*TINY, "pruner=flat") or "").startswith(
        f"{flat}: '{HEADER}' puts its settings beside"
    )
    assert (said(*TINY, "pruner=nested") or "").startswith(f"{nested}: lacks '{HEADER}'")
    write("pruner/right.yaml", HEADER, "pruner:", "  _target_: sanity.pruners.lt.LT")
    write("pruner/plain.yaml", "_target_: sanity.pruners.lt.LT")
    assert said(*TINY, "pruner=right") is said(*TINY, "pruner=plain") is None


def test_an_own_file_of_the_name_of_an_option_is_not_passed_over(write: Write) -> None:
    path = write("pruner/snip.yaml", "_target_: sanity.pruners.snip.SNIP", "samples_per_class: 3")
    assert (said(*TINY, "pruner=snip") or "").startswith(f"pruner=snip: {path} is not read")
    assert said(*TINY, "pruner=lt") is None
    path.write_bytes((PROJECT / "conf/pruner/snip.yaml").read_bytes())
    assert said(*TINY, "pruner=snip") is None, "a copy says the same"


def test_a_setting_that_another_file_overrules_is_told(write: Write, warned: list[str]) -> None:
    lost = write("lost.yaml", "defaults: [_self_, config]", "seed: 5")
    assert (said(*TINY, "--config-name=lost") or "").startswith(
        f"seed: set in {lost} without effect"
    )
    write("lost.yaml", "defaults: [config, _self_]", "seed: 5")
    assert said(*TINY, "--config-name=lost") is None

    ratio = (PROJECT / "conf/ratio/global.yaml").read_text().splitlines()
    nested = ["ratio:", *(f"  {line}" for line in ratio)]
    write("ratio/x.yaml", HEADER, *nested, "pruner:", "  samples_per_class: 3")
    assert said(*TINY, "ratio=x", "pruner=snip") is None
    assert [line.split(" in ")[0] for line in warned] == ["pruner.samples_per_class: set"]
    assert said(*TINY, "ratio=x", "pruner=snip", "pruner.samples_per_class=5") is None
    assert len(warned) == 1, "what is typed was meant"


def test_what_is_given_twice_or_empty_is_told(write: Write, warned: list[str]) -> None:
    empty = write("experiment/empty.yaml")
    assert said(*TINY, "seed=1", "seed=2", "experiment=empty") is None
    assert warned == [f"{empty}: is empty", "seed=1 has no effect beside seed=2"]


def test_two_directories_are_refused(write: Write) -> None:
    write("experiment/x.yaml", HEADER, "seed: 1")
    line = said("--config-dir=mine", *TINY)
    assert line == "--config-dir: is given 2 times, and only the last would be read"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (["# gr\xfc\xdfe", "seed: 7"], "line 2: byte 0xfc is no UTF-8"),
        (["seed: 7", "seed: 8"], "line 3: found duplicate key seed"),
        (["training:", "\tepochs: 3"], "line 3: found character"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(
    write: Write, content: list[str], message: str
) -> None:
    path = write("experiment/x.yaml", HEADER, *content)
    assert (said(*TINY, "experiment=x") or "").startswith(f"{path}, {message}")


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            ["- pruner: snip"],
            "experiment/x.yaml: its defaults list looks for pruner below experiment",
        ),
        (["- override pruner: lt"], "experiment/x.yaml: its defaults list looks for pruner below"),
        (["- /pruner: snip"], "pruner: is chosen twice"),
    ],
)
def test_choices_in_a_defaults_list_are_explained(
    write: Write, lines: list[str], message: str
) -> None:
    write("experiment/x.yaml", HEADER, "defaults:", *(f"  {line}" for line in lines))
    line = said(*TINY, "experiment=x") or ""
    assert line.startswith(message)
    assert "- override /pruner: " in line


@pytest.mark.parametrize(
    "place", ["experiment/x.yml", "experiments/x.yaml", "x.yaml", "experiment/x"]
)
def test_an_option_in_the_wrong_place_is_found(write: Write, place: str) -> None:
    write("experiment/other.yaml", HEADER, "seed: 1")
    path = write(place, HEADER, "seed: 7")
    line = said(*TINY, "experiment=x") or ""
    assert line.startswith("experiment=x: no such option; choose from ")
    assert line.endswith(f"{path} would have to be experiment/x.yaml in that directory")


def test_variables_that_are_almost_ours_are_refused() -> None:
    for name in ("SANITY_STROE_DIR", "SANITY_STOREDIR", "sanity_store_dir", "SANITY_DATA_DIRS"):
        with pytest.raises(
            ConfigError, match=rf"^{name}: nobody reads this variable; did you mean SANITY_"
        ):
            variables.refuse_misspelled([name])
    variables.refuse_misspelled(
        ["SANITY_STORE_DIR", "SANITY_STUDIO_TITLE", "STORE_DIR", *os.environ]
    )


def test_no_variable_that_the_code_reads_is_unknown() -> None:
    sources = (PROJECT / "sanity").rglob("*.py")
    named = {
        name for path in sources for name in re.findall(r"\"(SANITY_[A-Z_]+)\"", path.read_text())
    }
    assert named - {"SANITY_"} <= variables.known()
    variables.refuse_misspelled(["SANITY_FUZZ", "SANITY_ARTIFACTS", "SANITY_REQUIRE_SLURM"])


def test_a_library_s_run_is_looked_at(configure: Callable[..., DictConfig], tmp_path: Path) -> None:
    cfg = configure(*TINY)
    OmegaConf.update(cfg, "sede", 7, force_add=True)
    with pytest.raises(ConfigError, match=r"^sede: no such setting \(did you mean seed\?\)"):
        pipeline.run(cfg, tmp_path)
    assert json.loads((tmp_path / "record.json").read_text())["status"] == "failed"
    with pytest.raises(ConfigError, match=r"^sweep\.grid: is for sweeps, and this is a single run"):
        pipeline.run(configure(*TINY, "sweep=quickstart"), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["experiment=x"], f"lacks '{HEADER}'"),
        (["sweep=quickstart", "hydra/sweeper=basic"], "only hydra/sweeper=sanity reads its grid"),
        (["-m", "experiment=x", "seed=0,1"], f"lacks '{HEADER}'"),
    ],
)
def test_the_command_itself_refuses(write: Write, arguments: list[str], message: str) -> None:
    directory = write("experiment/x.yaml", "seed: 7").parents[1]
    run = [sys.executable, str(PROJECT / "run.py"), "--config-dir", str(directory)]
    done = processes.run([*run, *TINY, *arguments], directory.parent)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("run.py: ")
    assert message in done.stderr.splitlines()[-1]
    assert not list(Path(os.environ["SANITY_STORE_DIR"]).glob("*/*/manifest.json"))
