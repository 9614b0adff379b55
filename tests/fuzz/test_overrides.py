"""Whatever is typed, a run begins or says in one line what is wrong: no traceback, hang or flood.

Nothing is trained here. Values that would take days or all memory must be refused by name.
"""

import functools
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import processes
import pytest
import watching
from composing import complaint, little_memory
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from sanity.core.config import PROJECT

CONF = PROJECT / "conf"
GROUPS = sorted(path.name for path in CONF.iterdir() if path.is_dir() and path.name != "hydra")
OPTIONS = {group: sorted(path.stem for path in (CONF / group).glob("*.yaml")) for group in GROUPS}
LONG = timedelta(seconds=20)


def words(text: str) -> list[str]:
    return text.split()


@functools.cache
def in_file(name: str) -> dict[str, Any]:
    """Every setting in a file of ours, as it is typed, with its value there."""
    found: dict[str, Any] = {}

    def walk(node: Any, prefix: str) -> None:
        for key, value in node.items():
            found[f"{prefix}{key}"] = value
            if isinstance(value, dict):
                walk(value, f"{prefix}{key}.")

    text, group = (CONF / name).read_text(), name.partition("/")[0]
    walk(OmegaConf.to_container(OmegaConf.load(CONF / name)), "")
    if "/" in name and "@package _global_" not in text:
        found = {group: None, **{f"{group}.{key}": value for key, value in found.items()}}
    return {key: value for key, value in found.items() if not key.startswith(("defaults", "hydra"))}


FILES = ["config.yaml"] + [f"{group}/{name}.yaml" for group in GROUPS for name in OPTIONS[group]]
NUMBERS = words(
    """
    0 1 -1 2 3 8 0.5 1.5 0.98 0.999999999 -0.0 1e-320 1e308 1e999 -1e999 nan inf 1_000 01 0x10
    1000 1000000 1000000000 1000000000000 9223372036854775807 9223372036854775808 1e18
    """
)
LISTS = words(
    """
    [] [1] [4,8,8] [1000000,1000000,1000000] [70000,8,8] [0.1,0.2] [nan] [1e999] [[1,2],[3]]
    [a,b,c] ['',null,true] {} {a:1} {a:{b:[1,{c:2}]}} [{}] [-1,1e308]
    """
)
CODE = words(
    """
    {_target_:os.system,_args_:[id]} [{_target_:os.system,_args_:[id]}] subprocess.Popen
    {_target_:builtins.open,file:/etc/hostname} {_partial_:true} {_args_:[1]}
    {_recursive_:false} os.system builtins.eval builtins.object torch.nn.Linear
    torch.nn.Sequential torch.nn.LazyConv2d torch.nn.Module sanity.archs.base.Network
    sanity.archs.vgg.VGG sanity.pruners.lt.LT pathlib.Path sanity.pruners.base.Pruner
    sanity.ratios.global_.Global sanity.checks.none.NoCheck nope.Nope sanity.ratios.nope sanity
    sanity..x .a a.
    """
)
REFERENCES = words(
    r"""
    ${seed} ${nope} ${arch} ${.} ${..seed} ${oc.env:HOME} ${oc.env:NOPE} ${oc.env:NOPE,null}
    ${oc.decode:'[1,2'} ${oc.decode:${oc.env:HOME}} ${oc.create:{a:1}} ${oc.dict.keys:arch}
    ${oc.select:seed} ${hydra:job.name} ${now:%Y} ${sanity.project:x} ${ ${} \${seed}
    ${arch.${seed}} ${training}
    """
)
TEXTS = words(
    """
    '' "" ' " null none true false auto ??? a,b 1,2 range(3) glob(*) choice(1,2) interval(0,1)
    int(1.5) str(1) sort(3,1) é ~ ~nobody_at_all/x '~nobody_at_all/x' .. ../../x / /dev/null
    /etc/passwd %s a=b <b> `id` !!python/object:os.system &a *a # @x - cpu cuda:99 meta
    train_dense
    """
)
LONG_TEXTS = ["x" * 5000, "9" * 5000, "[" * 3000, "{a:" * 400 + "1" + "}" * 400]
ODD = [
    "",
    " 1 ",
    "'a b'",
    "\x00",
    "\x1b[31m",
    "a\nb",
    "\u2028",
    "\U0001f600",
    "\u202e",
    "\ud800",
    "\t",
]
JUNK = words(
    """
    x hydra hydra.run.dir hydra.job.name hydra/launcher hydra.verbose _target_ defaults
    sweep.grid training.foo arch@x pruner@_global_ ratio@arch experiment@dataset é a.b.c = @ ~
    pruner/lt /pruner .. arch..widths arch.widths.0 arch.widths[0] dataset.mean.0 sweep.title
    tracker.x tracker.x._target_ arch._args_ pruner._partial_ ratio._convert_
    ratio.settings._target_ pruner._recursive_
    """
)

anything = st.one_of(
    *map(st.sampled_from, (NUMBERS, LISTS, CODE, REFERENCES, TEXTS, [*LONG_TEXTS, *ODD])),
    st.integers().map(str),
    st.floats().map(str),
    st.text(max_size=20),
    st.sampled_from(sorted({name for names in OPTIONS.values() for name in names})),
)
OF_A_KIND: dict[type, st.SearchStrategy[str]] = {
    bool: st.sampled_from(["true", "false"]),
    int: st.sampled_from(NUMBERS) | st.integers(0, 10).map(str) | st.integers().map(str),
    float: st.sampled_from(NUMBERS) | st.floats(0, 1).map(str) | st.floats().map(str),
    list: st.sampled_from(LISTS) | st.lists(st.integers(1, 20), max_size=4).map(str),
}


@st.composite
def typed(draw: st.DrawFn) -> str:
    """Any setting and any value."""
    file = draw(st.sampled_from(FILES))
    key = draw(st.sampled_from(sorted({*in_file(file), *GROUPS})) | st.sampled_from(JUNK))
    prefix = draw(st.sampled_from(["", "", "", "+", "++", "~"]))
    if prefix == "~" and draw(st.booleans()):
        return f"~{key}"
    return f"{prefix}{key}={draw(anything)}"


@st.composite
def commands(draw: st.DrawFn) -> list[str]:
    """Options and settings that go together, with values of their kind or any other."""
    groups = draw(st.lists(st.sampled_from(GROUPS), max_size=3, unique=True))
    chosen = {group: draw(st.sampled_from(OPTIONS[group])) for group in groups}
    files = ["config.yaml", *(f"{group}/{option}.yaml" for group, option in chosen.items())]
    there = {key: value for file in files for key, value in in_file(file).items()}
    found = []
    for key in draw(st.lists(st.sampled_from(sorted(there)), max_size=3, unique=True)):
        fitting = OF_A_KIND.get(type(there[key]), anything)
        found.append(f"{key}={draw(fitting if draw(st.booleans()) else anything)}")
    return [*(f"{group}={option}" for group, option in chosen.items()), *found]


@pytest.fixture(autouse=True, scope="module")
def _torch_has_its_cache() -> None:
    """It makes a directory for itself when it is first used, before anybody watches."""
    assert complaint("tracker=none") is None


fuzz = settings(
    max_examples=watching.examples(60), deadline=LONG, suppress_health_check=[HealthCheck.too_slow]
)


def tried(*overrides: str) -> None:
    with little_memory(), watching.only_below():
        line = complaint(*overrides)
    event("begins" if line is None else "is refused")


@fuzz
@given(st.lists(typed(), min_size=1, max_size=3))
def test_any_overrides(overrides: list[str]) -> None:
    tried(*overrides)


@fuzz
@given(commands())
def test_any_command(overrides: list[str]) -> None:
    tried("tracker=none", *overrides)  # W&B's settings are checked first, and would hide others


@settings(max_examples=watching.examples(60), deadline=LONG)
@given(anything)
def test_any_argument(text: str) -> None:
    tried(text)


def test_a_reference_that_leads_nowhere_is_one_line_also_within_the_run(tmp_path: Path) -> None:
    command = [sys.executable, str(PROJECT / "run.py"), "+new=${nowhere}", "tracker=none"]
    done = processes.run(command, tmp_path)
    assert (done.returncode, done.stderr) == (2, "run.py: Interpolation key 'nowhere' not found\n")


HUGE = [
    *("seed=1000000000000000000000000000000", "seed=9223372036854775808", "threads=1000000000"),
    *("training.epochs=1000000000000", "training.batch_size=1000000000000", "training.lr=1e999"),
    *("training.lr=1" + "0" * 400, "arch.depth=600000002", "arch.widths=[1000000,1000000,1000000]"),
    *("arch.widths=[60000,60000,60000]", "dataset.limit=1000000000000000000000000000000"),
    *("training.epochs=1e18", "training.milestones=[1e999]", "arch.widths=[nan,1,1]"),
    *("arch.widths=5", "arch.widths=abc", "arch.widths=[1.5,2,3]"),
]


@pytest.mark.parametrize("override", HUGE)
def test_what_would_take_days_or_all_memory_is_refused_by_name(override: str) -> None:
    line = complaint(override)
    assert line is not None
    assert line.startswith((override.split("=")[0], "arch: has "))


@pytest.mark.parametrize(
    ("overrides", "named"),
    [
        (("pruner=synflow", "pruner.iterations=1000000000000"), "pruner.iterations="),
        (("pruner=imp", "pruner.rounds=1000000000"), "pruner.rounds="),
        (("pruner=imp", "pruner.rate=1e-9"), "pruner.rate="),
        (("pruner=imp", "pruner.rate=1e-320"), "pruner.rate="),
        (("arch._target_=torch.nn.LazyConv2d", "arch.out_channels=3"), "arch"),
    ],
)
def test_the_same_of_options(overrides: tuple[str, ...], named: str) -> None:
    line = complaint(*overrides)
    assert line is not None
    assert line.startswith(named)
