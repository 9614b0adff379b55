"""A file a seed: ``{seed}`` in a path says so, and nothing else in it is taken for the seed."""

import json
import sys
from pathlib import Path

import processes
import pytest
import torch
from conftest import TINY, Compose, Run
from hydra.core.override_parser.overrides_parser import OverridesParser
from planning import plan_of

from sanity.core.config import PROJECT
from sanity.core.errors import ConfigError
from sanity.core.streams import generator
from sanity.experiment.experiment import build
from sanity.experiment.patterns import escaped, filled
from sanity.networks.build import build as initialised
from sanity.report.data.collect import collect
from sanity.report.data.grouping import group_runs

HERE = "v2/lr0.1/resnet8_seed{seed}.pth"  # digits that are no seed's
FILE = ("pruner=from_checkpoint", "ratio.sparsity=null")


@pytest.fixture
def tickets(configure: Compose, tmp_path: Path) -> str:
    """Three pruned networks, one a seed; the pattern of their paths."""
    factory = build(configure(*TINY)).factory
    for seed in (0, 1, 2):
        state = initialised(factory, generator(seed, "init")).state_dict()
        for weight in (one for one in state.values() if one.dim() in (2, 4)):
            weight.flatten()[:: seed + 2] = 0
        path = tmp_path / HERE.format(seed=seed)
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(state, path)
    return str(tmp_path / HERE)


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("a/{seed}.pth", "a/12.pth"),
        ("{seed}/{seed}", "12/12"),
        ("12/x.pth", "12/x.pth"),
        ("a{{seed}}b", "a{seed}b"),
        ("", ""),
    ],
)
def test_a_pattern_is_filled(pattern: str, path: str) -> None:
    assert filled("pruner.path", pattern, 12) == path


@pytest.mark.parametrize("wrong", ["{sed}", "{}", "{0}", "{seed:03}", "{seed!r}", "{seed.real}"])
def test_anything_else_in_braces_is_one_line(wrong: str) -> None:
    with pytest.raises(ConfigError) as problem:
        filled("arch.init_from", f"a/{wrong}.pth", 0)
    assert str(problem.value).startswith(f"arch.init_from=a/{wrong}.pth: {wrong} means nothing")


@pytest.mark.parametrize("wrong", ["a{seed", "aseed}", "{"])
def test_a_single_brace_is_one_line(wrong: str) -> None:
    with pytest.raises(ConfigError, match="a single brace means nothing in it"):
        filled("pruner.path", wrong, 0)


@pytest.mark.parametrize("name", ["pruner.path", "+pruner.path", "arch.init_from"])
@pytest.mark.parametrize("value", ["{seed}.pth", "a/t_{seed}", "'a/{seed}'", '"{seed}"', "{sed}"])
def test_as_typed_it_is_what_hydra_reads(name: str, value: str) -> None:
    override = OverridesParser.create().parse_override(escaped(f"{name}={value}"))
    assert override.value() == value.strip("'\"")


def test_several_patterns_are_several_values_and_other_settings_stay_as_typed() -> None:
    override = OverridesParser.create().parse_override(escaped("pruner.path=a{seed},b{seed}"))
    assert override.is_sweep_override()
    for text in ("training={lr: 1}", "x=a{seed}", "pruner.path=a${seed}", r"pruner.path=a\{seed\}"):
        assert escaped(text) == text


def test_every_seed_of_a_plan_has_its_own_file_and_reads_it(tickets: str, run: Run) -> None:
    typed = [*(text for text in TINY if "sparsity" not in text), f"pruner.path={tickets}"]
    plan = plan_of("pruner=from_checkpoint", *map(escaped, typed), "seed=0,1,2", "until=prune")
    masks = [job.stages[-1].key for job in plan.jobs]
    assert len(set(masks)) == 3
    for seed, key in enumerate(masks):
        record = run(*FILE, escaped(f"pruner.path={tickets}"), f"seed={seed}", "until=prune")
        assert record["stages"]["prune"]["key"] == key, "planned by another seed's file"
        assert record["config"]["pruner"]["path"] == tickets, "the record keeps the pattern"
        literal = escaped(f"pruner.path={tickets.format(seed=seed)}")
        again = run(*FILE, literal, f"seed={seed}", "until=prune")
        assert again["stages"]["prune"] == record["stages"]["prune"] | {
            "reused": True,
            "seconds": again["stages"]["prune"]["seconds"],
        }, "the file's contents decide, however it is named"


def test_initial_weights_may_come_a_file_a_seed(tickets: str, configure: Compose) -> None:
    pattern = escaped(f"arch.init_from={tickets}")
    for seed in (0, 2):
        parts = build(configure(*TINY, pattern, f"seed={seed}"))
        assert parts.initial.file == Path(tickets.format(seed=seed))
    with pytest.raises(ConfigError, match=r"arch\.init_from=.*seed3\.pth: no such file"):
        build(configure(*TINY, pattern, "seed=3"))


def test_what_refers_to_the_seed_by_interpolation_is_planned_and_kept_alike(
    tickets: str, run: Run
) -> None:
    own = f"pruner.path={tickets.replace('{seed}', '${seed}')}"
    common = [text for text in TINY if "sparsity" not in text]
    plan = plan_of("pruner=from_checkpoint", *common, own, "seed=0,1", "until=prune")
    record = run(*FILE, own, "seed=1", "until=prune")
    assert plan.jobs[1].stages[-1].key == record["stages"]["prune"]["key"]
    assert record["config"]["pruner"]["path"] == tickets


def test_a_report_takes_runs_of_one_pattern_for_seeds_and_those_of_several_paths_not(
    tickets: str, run: Run
) -> None:
    pattern = [run(*FILE, escaped(f"pruner.path={tickets}"), f"seed={s}") for s in (0, 1, 2)]
    (cell,), _ = group_runs(collect([one["directory"] for one in pattern]).runs)
    assert list(cell.arms["as found"].runs) == [0, 1, 2]
    literal = [
        run(*FILE, escaped(f"pruner.path={tickets.format(seed=s)}"), f"seed={s}") for s in (0, 1)
    ]
    found, _ = group_runs(collect([one["directory"] for one in literal]).runs)
    assert [list(one.arms["as found"].runs) for one in found] == [[0], [1]]


@pytest.mark.slow
def test_it_is_typed_without_quotes(tickets: str, tmp_path: Path) -> None:
    common = [text for text in TINY if "sparsity" not in text]
    command = [sys.executable, str(PROJECT / "run.py"), "pruner=from_checkpoint", *common]
    done = processes.run([*command, f"pruner.path={tickets}", "seed=2", "until=prune"], tmp_path)
    assert done.returncode == 0, done.stderr
    record = json.loads(Path(done.stdout.split("record: ")[1].strip()).read_text())
    assert record["config"]["pruner"]["path"] == tickets
    wrong = processes.run([*command, "pruner.path=t{sed}.pth"], tmp_path)
    assert wrong.returncode == 2
    assert wrong.stderr.startswith("run.py: pruner.path=t{sed}.pth: {sed} means nothing in it; {s")
