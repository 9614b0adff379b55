"""Whatever is swept, it comes to no more jobs than anybody can run, or is refused in one line."""

import contextlib
from datetime import timedelta
from typing import Any

import watching
from composing import little_memory
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hypothesis import example, given, settings
from hypothesis import strategies as st
from omegaconf.errors import OmegaConfBaseException

from sanity.core.errors import ConfigError
from sanity.sweep.grid import MOST, expand

LONG = timedelta(seconds=20)
PARSER = OverridesParser.create()


def nested(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Hydra's ways to say several values, around others."""
    several = st.lists(inner, max_size=4).map(",".join)
    form = st.sampled_from(["{}", "choice({})", "shuffle({})", "sort({})", "[{}]", "int({})"])
    return st.builds(str.format, form, several)


counts = st.integers(-5, 10**12).map(str) | st.sampled_from(["nan", "inf", "1e999", "1e-9", "a"])
ranges = st.lists(counts, min_size=1, max_size=3).map(",".join).map("range({})".format)
leaves = ranges | st.sampled_from(["1", "a", "glob(*)", "choice(1,2)", "1,2,3", "${x}"])
values = leaves | nested(leaves) | nested(nested(leaves))
grids = st.dictionaries(
    st.sampled_from(["seed", "pruner", "ratio.sparsity", "~x", "+x", "++x.y", "a@b"]),
    values | st.lists(st.integers() | st.text(max_size=5) | st.none(), max_size=4) | st.floats(),
    max_size=4,
)


@settings(max_examples=watching.examples(150), deadline=LONG)
@given(grids | st.lists(grids, max_size=3), st.lists(values, max_size=3))
@example({"seed": "range(1,1e9)"}, [])
@example({"seed": "shuffle(range(1,1000000000))"}, [])
@example({"seed": "range(1,9,0)"}, ["range(nan,1)"])
@example({}, ["range(1000)"] * 3)
def test_any_grid(grid: Any, swept: list[str]) -> None:
    arguments = [f"key{number}={value}" for number, value in enumerate(swept)]
    fine = contextlib.suppress(ConfigError, HydraException, OmegaConfBaseException)
    with little_memory(), fine:
        assert len(expand(grid, arguments, PARSER)) <= MOST
