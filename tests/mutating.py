"""JSON files as nobody meant them: any value in any place, places missing, bytes gone."""

import copy
from typing import Any

from hypothesis import strategies as st

PATHS = [
    "../x",
    "../../x",
    "/etc/passwd",
    "/",
    "",
    ".",
    "..",
    "a/../../..",
    "~",
    "\0",
    "x" * 5000,
    "a\nb",
]
KEYS = [
    "0123456789abcdef0123",
    "0123456789abcdef012",
    "../../0123456789abcd",
    "ABCDEF0123456789abcd",
]
CODE = [
    "os.system",
    "subprocess.Popen",
    "builtins.eval",
    "torch.nn.Linear",
    "sanity.cli.entry.start",
]
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


OF_A_KIND: dict[type, st.SearchStrategy[Any]] = {
    str: st.sampled_from([*PATHS, *KEYS, *CODE, *ODD]),
    int: st.sampled_from([number for number in NUMBERS if isinstance(number, int)]),
    dict: called,
}


@st.composite
def mutations(draw: st.DrawFn, content: Any) -> Any:
    """``content`` with one to three of its places changed or gone."""
    found = copy.deepcopy(content)
    for _ in range(draw(st.integers(1, 3))):
        node, name = draw(places(found))
        how = draw(st.sampled_from(["gone", "any", "of its kind", "of its kind"]))
        if how == "gone":
            del node[name]
        else:
            kind = type(node[name]) if how == "of its kind" else object
            # A sampled map would be changed with the next place in it.
            node[name] = copy.deepcopy(draw(OF_A_KIND.get(kind, values)))
        if not found:
            break
    return found


@st.composite
def places(draw: st.DrawFn, content: Any) -> tuple[Any, Any]:
    """A map or list of ``content``, which has one, and a name in it; all have their chance.

    Step by step, so that what is large is not the most likely.
    """
    node = content
    while True:
        names = list(node) if isinstance(node, dict) else list(range(len(node)))
        name = draw(st.sampled_from(names))
        inner = node[name]
        if not isinstance(inner, dict | list) or not inner or draw(st.integers(0, 3)) == 0:
            return node, name
        node = inner


@st.composite
def cuts(draw: st.DrawFn, text: str) -> bytes:
    """``text`` as bytes of which some are missing or are others."""
    content = text.encode()
    start = draw(st.integers(0, len(content)))
    end = draw(st.integers(start, len(content)))
    return content[:start] + draw(st.binary(max_size=8)) + content[end:]
