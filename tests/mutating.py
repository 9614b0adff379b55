"""JSON files as nobody meant them: any value in any place, places missing, bytes gone."""

import copy
from typing import Any

from hypothesis import strategies as st

PATHS = ["../../x", "/etc/passwd", "/", "", ".", "..", "a/../../..", "~", "\0", "x" * 5000, "a\nb"]
KEYS = [
    "0123456789abcdef0123",
    "0123456789abcdef012",
    "../../0123456789abcd",
    "ABCDEF0123456789abcd",
]
CODE = ["os.system", "subprocess.Popen", "builtins.eval", "torch.nn.Linear", "sanity.cli.start"]
ODD = ["\ud800", "\x1b[31m", "\u202e", "completed", "failed", "NaN", "${oc.env:HOME}", "???"]
NUMBERS = [
    0,
    1,
    -1,
    2,
    10**6,
    10**18,
    2**63,
    10**400,
    -(10**400),
    1e308,
    float("inf"),
    float("nan"),
]

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from([*PATHS, *KEYS, *CODE, *ODD, *NUMBERS]),
)
called = st.sampled_from(
    [
        {"_target_": "os.system", "_args_": ["id"]},
        {"_target_": "builtins.open", "file": "/tmp/opened_by_a_record", "mode": "w"},
        {"_target_": "sanity.archs.resnet.ResNet", "depth": 600000002, "num_classes": 10},
        {"key": "../../x"},
    ]
)
values = st.recursive(
    scalars | called,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3)
    ),
    max_leaves=8,
)

Place = tuple[Any, ...]


def places(value: Any, path: Place = ()) -> list[Place]:
    """The way to every node of a JSON value but itself."""
    found = [path] if path else []
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for name, item in items:
            found += places(item, (*path, name))
    return found


@st.composite
def mutations(draw: st.DrawFn, content: Any) -> Any:
    """``content`` with one to three of its places changed or gone."""
    found = copy.deepcopy(content)
    for _ in range(draw(st.integers(1, 3))):
        here = places(found)
        if not here:
            break
        *parents, name = draw(st.sampled_from(here))
        node = found
        for parent in parents:
            node = node[parent]
        if draw(st.integers(0, 3)) == 0:
            del node[name]
        else:
            node[name] = copy.deepcopy(draw(values))  # a sampled one is changed with the next
    return found


@st.composite
def cuts(draw: st.DrawFn, text: str) -> bytes:
    """``text`` as bytes of which some are missing or are others."""
    content = text.encode()
    start = draw(st.integers(0, len(content)))
    end = draw(st.integers(start, len(content)))
    return content[:start] + draw(st.binary(max_size=8)) + content[end:]
