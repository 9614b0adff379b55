"""Damage of every kind to files and JSON, drawn by hypothesis, and what a refusal has to be."""

import copy
import unicodedata
from typing import Any

from hypothesis import strategies as st

EXTREMES = [bytes(4), b"\xff" * 4, b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\x00\x00\x01\x00"]

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from([10**400, 2**63, 2**64, -1, 0, 1e308, "NaN", "\ud800", "\x1b[31m", "../x"]),
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner)
)


@st.composite
def damaged(draw: st.DrawFn, content: bytes, most: int = 3) -> bytes:
    """``content`` with up to ``most`` flips, cuts, insertions, repetitions and extreme numbers."""
    data = bytearray(content)
    for _ in range(draw(st.integers(1, most))):
        at = draw(st.integers(0, max(len(data) - 1, 0)))
        end = min(len(data), at + draw(st.integers(1, 40)))
        kind = draw(st.sampled_from(["flip", "set", "cut", "drop", "insert", "repeat", "number"]))
        if kind == "flip":
            data[at:end] = bytes(byte ^ 1 << draw(st.integers(0, 7)) for byte in data[at : at + 1])
        elif kind == "set":
            data[at : at + 1] = bytes([draw(st.integers(0, 255))])
        elif kind == "cut":
            del data[at:]
        elif kind == "drop":
            del data[at:end]
        elif kind == "insert":
            data[at:at] = draw(st.binary(min_size=1, max_size=8))
        elif kind == "repeat":
            data[at:at] = data[at:end]
        else:
            data[at : at + 4] = draw(st.sampled_from(EXTREMES))
    return bytes(data)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every node of a JSON value but its root."""
    found = [path] if path else []
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for name, item in items:
            found += places(item, (*path, name))
    return found


def replaced(value: Any, place: tuple[Any, ...], new: Any, gone: bool) -> Any:
    """A copy of a JSON value with another node at ``place``, or none."""
    found = copy.deepcopy(value)
    node = found
    for name in place[:-1]:
        node = node[name]
    if gone:
        del node[place[-1]]
    else:
        node[place[-1]] = new
    return found


def assert_is_a_line(error: BaseException, start: str = "") -> None:
    """A refusal can be printed on any terminal, in one line of bearable length."""
    line = str(error)
    assert line.startswith(start)
    assert line
    assert len(line) < 3000
    assert not {"Cc", "Cs", "Zl", "Zp"}.intersection(map(unicodedata.category, line)), repr(line)
