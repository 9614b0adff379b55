"""What a person reads of a store: sizes, ages, users."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich import box
from rich.console import RenderableType
from rich.filesize import decimal
from rich.table import Column, Table
from rich.text import Text

from sanity.core.files import near, printable
from sanity.store.maintenance import Item
from sanity.store.users import Users

UNITS = ((86400, "d"), (3600, "h"), (60, "min"))


def heading(root: Path, items: Sequence[Item], users: Users) -> Text:
    """How much there is, and who is known to use it."""
    known = f"{_many(len(users.runs), 'run')} and {_many(len(users.sweeps), 'sweep')}"
    lines = [f"{near(root)}: {size_of(items)} in {_many(len(items), 'item')}, used by {known}"]
    if users.gone:
        lines.append(
            f"gone: {_many(len(users.gone), 'run or sweep', 'runs or sweeps')}, such as "
            f"{near(Path(min(users.gone)))}; where they were moved, name the new place (DIR), or "
            "their results count as unused"
        )
    if users.elsewhere:
        unseen = _many(len(users.elsewhere), "directory", "directories")
        lines.append(
            f"not to be seen from this host: {unseen}, such as {min(users.elsewhere)}; what is "
            "used there stays, unless --gone is given"
        )
    if users.unreadable:
        lines.append(
            f"not to be read: {_many(len(users.unreadable), 'file')}, such as "
            f"{users.unreadable[0]}; what is used there is not known"
        )
    return Text(printable("\n".join(lines)))


def summary(items: Sequence[Item], users: Users) -> Table:
    """A row a stage, and one for what is no result."""
    names = ("items", "size", "unused", "size of these", "newest", "oldest")
    table = Table("", *(Column(name, justify="right") for name in names), box=box.SIMPLE_HEAD)
    groups: dict[str, list[Item]] = {}
    for item in items:
        groups.setdefault(item.stage if item.kind == "result" else item.kind, []).append(item)
    for name, group in groups.items():
        idle = [item for item in group if not users.of(*item.name)]
        ages = sorted(item.age() for item in group)
        figures = (f"{len(group):,}", size_of(group), f"{len(idle):,}", size_of(idle))
        table.add_row(Text(printable(name)), *figures, age(ages[0]), age(ages[-1]))
    return table


def rows(items: Sequence[Item], users: Users, limit: int | None) -> RenderableType:
    """A row an item, the largest first, ``limit`` of them at most."""
    table = Table(box=box.SIMPLE_HEAD)
    for name in ("stage", "key", "size", "age", "used by"):
        table.add_column(name, justify="right" if name in ("size", "age") else "left")
    ordered = sorted(items, key=lambda item: (-item.size, item.name))
    for item in ordered[:limit]:
        note = "" if item.kind == "result" else f"{item.kind} "
        used = users.of(*item.name) if item.kind != "foreign" else []
        more = f" and {len(used) - 1:,} more" if len(used) > 1 else ""
        by = item.problem or (near(Path(used[0])) + more if used else "nobody")
        cells = (f"{note}{item.stage}", item.key, decimal(item.size), age(item.age()), by)
        table.add_row(*(Text(printable(cell)) for cell in cells))
    if limit is not None and len(items) > limit:
        table.caption = f"and {len(items) - limit:,} more; --all shows them"
        table.caption_justify = "left"
    return table if items else Text()


def verdict(items: Sequence[Item], problems: Sequence[tuple[Item, str]]) -> Text:
    """What a verification found."""
    if not problems:
        what = f"{_many(len(items), 'result')}, {size_of(items)}"
        return Text(f"{what}: every file is what was written")
    lines = [f"damaged: {item.stage}/{item.key}: {why}" for item, why in problems]
    lines.append(
        f"{len(problems):,} of {len(items):,} results are damaged; who needs one next moves it "
        "aside and computes it anew"
    )
    return Text(printable("\n".join(lines)))


def outcome(items: Sequence[Item], removed: bool) -> Text:
    """What was or would be removed."""
    if not items:
        return Text("nothing to remove")
    what = f"{_many(len(items), 'item')}, {size_of(items)}"
    return Text(f"removed {what}" if removed else f"to remove: {what}; --yes does it")


def to_json(item: Item, users: Users | None = None) -> dict[str, Any]:
    """An item for programs."""
    made = datetime.fromtimestamp(item.made, UTC).isoformat(timespec="seconds")
    facts = {"kind": item.kind, "stage": item.stage, "key": item.key, "path": str(item.path)}
    more = {} if users is None else {"used_by": users.of(*item.name)}
    return facts | {"bytes": item.size, "made": made, "problem": item.problem} | more


def size_of(items: Iterable[Item]) -> str:
    """Their size together, in decimal units."""
    return decimal(sum(item.size for item in items))


def age(seconds: float) -> str:
    """A time span in its largest whole unit."""
    for length, unit in UNITS:
        if seconds >= length:
            return f"{int(seconds // length)} {unit}"
    return f"{int(seconds)} s"


def _many(count: int, one: str, more: str | None = None) -> str:
    return f"{count:,} {one if count == 1 else more or one + 's'}"
