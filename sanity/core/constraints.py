"""What a setting may be, read from its annotation: one validator, and one line for what is wrong.

Understood are numbers, texts, switches and null, ``Literal`` choices, bounds written
``Annotated[float, Ge(0), Lt(1), "the share removed"]`` (a text says why), lists of all these, and
unions. What else a class says of its arguments is its own business.
"""

import math
import operator
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt

KINDS: dict[type, str] = {
    int: "a whole number",
    float: "a number",
    str: "a text",
    bool: "true or false",
    NoneType: "null",
}
SPELLED = {"None": "null", "True": "true", "False": "false"}  # as YAML has them
HOLDS = {Ge: operator.ge, Gt: operator.gt, Le: operator.le, Lt: operator.lt}
WORDS: dict[tuple[type, ...], str] = {
    (Ge,): "{:,} or more",
    (Ge, Le): "from {:,} to {:,}",
    (Ge, Lt): "from {:,} to below {:,}",
    (Gt,): "above {:,}",
    (Gt, Le): "above {:,}, up to {:,}",
    (Gt, Lt): "above {:,} and below {:,}",
    (Le,): "{:,} at most",
    (Lt,): "below {:,}",
}


@dataclass(frozen=True)
class Allowed:
    """What one member of an annotation allows: of a ``kind``, or of ``choices``, or a list."""

    kind: type
    choices: tuple[Any, ...] = ()
    items: tuple["Allowed", ...] = ()
    bounds: tuple[Any, ...] = ()
    why: str = ""

    def takes(self, value: Any) -> bool:
        """Whether ``value`` is such a one; a whole number is a number, too."""
        if self.kind is list:
            whole = isinstance(value, list)
            return whole and all(any(one.takes(item) for one in self.items) for item in value)
        if self.choices:
            return any(type(value) is type(one) and value == one for one in self.choices)
        if type(value) is not self.kind and (self.kind, type(value)) != (float, int):
            return False
        if isinstance(value, float) and not math.isfinite(value):
            return False
        return all(HOLDS[type(bound)](value, *astuple(bound)) for bound in self.bounds)

    def words(self, value: Any = 0.0) -> str:
        """``a whole number, from 2 to 100 (why)``; ``above 0`` to who gave a number already."""
        if self.kind is list:
            if self.items in [(Allowed(kind),) for kind in (int, float, str)]:
                return f"a list of {self.items[0].words().removeprefix('a ')}s"
            return f"a list, each {listed(self.items)}"
        if self.choices:
            return _either(SPELLED.get(str(one), str(one)) for one in self.choices)
        limits = [limit for bound in self.bounds for limit in astuple(bound)]
        bounds = WORDS.get(tuple(map(type, self.bounds)), "").format(*limits)
        known = self.kind is float and type(value) in (int, float)
        text = bounds if bounds and known else f"{KINDS[self.kind]}{bounds and ', ' + bounds}"
        return f"{text} ({self.why})" if self.why else text


def allowed(hint: Any) -> tuple[Allowed, ...]:
    """What ``hint`` allows; nothing where not all of it is understood."""
    members = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    found = [_member(member) for member in members]
    return tuple(one for one in found if one) if all(found) else ()


def listed(options: Sequence[Allowed], value: Any = 0.0) -> str:
    """All that is allowed, in words, to somebody who gave ``value``."""
    several = sum(one.kind is not NoneType for one in options) > 1
    texts: list[str] = []
    for one in options:
        split = (SPELLED.get(str(choice), str(choice)) for choice in one.choices)
        texts += split if one.choices else [one.words(None if several else value)]
    return _either(texts)


def _either(texts: Iterable[str]) -> str:
    """``a, b or c``."""
    *first, last = texts
    return f"{', '.join(first)} or {last}" if first else last


def _member(hint: Any) -> Allowed | None:
    bounds: tuple[Any, ...] = ()
    if get_origin(hint) is Annotated:
        hint, *rest = get_args(hint)
        bounds = tuple(rest)
    if get_origin(hint) is Literal:
        return Allowed(object, get_args(hint))
    if get_origin(hint) in (list, Sequence):
        items = allowed(get_args(hint)[0])
        return Allowed(list, items=items) if items else None
    if not isinstance(hint, type) or hint not in KINDS:
        return None
    why = " ".join(one for one in bounds if isinstance(one, str))
    return Allowed(hint, bounds=tuple(one for one in bounds if type(one) in HOLDS), why=why)
