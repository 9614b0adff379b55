"""Look after the store: what is in it, whether it is sound, and what nobody uses any more.

python -m sanity.store [list] [DIR ...]     size, age and users of what is in it
python -m sanity.store verify               compare every file with its checksum
python -m sanity.store clean [DIR ...]      show what no run or sweep refers to; --yes removes it

DIR is where to look for records besides the places that the store knows of, such as outputs.
"""

if __name__ == "__main__":  # before all that takes time: Ctrl-C ends it in one line from here on
    from sanity.core import shutdown

    shutdown.begin("sanity.store")

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path

from sanity.cli.commands import answer, complain, parser, store_dir
from sanity.core.console import bar, echo, err
from sanity.core.errors import StoreError
from sanity.store import show
from sanity.store.maintenance import Item, inventory, remove, unused, verify
from sanity.store.store import Store
from sanity.store.users import UNKNOWN, Users, users

PROGRAM = "sanity.store"
SHOWN = 40  # rows without --all


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line asks for; returns the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    options = _parser().parse_args(arguments or ["list"])
    return answer(PROGRAM, lambda: int(options.command(_store(options), options)))


def listing(store: Store, options: argparse.Namespace) -> int:
    """Show size, age and users of what is in the store."""
    items, found = _look(store, options)
    if options.json:
        print(json.dumps([show.to_json(item, found) for item in items], indent=2))
        return 0
    echo(show.heading(store.root, items, found), show.summary(items, found))
    echo(show.rows(items, found, None if options.all else SHOWN))
    return 0


def check(store: Store, options: argparse.Namespace) -> int:
    """Compare every file with its checksum; the exit code is 1 where one differs."""
    items = [item for item in inventory(store) if item.kind == "result"]
    with bar("verify", len(items)) as shown:
        problems = list(verify(store, items, shown.advance))
    if options.json:
        found = [show.to_json(item) | {"problem": why} for item, why in problems]
        print(json.dumps(found, indent=2))
    else:
        echo(show.verdict(items, problems))
    return 1 if problems else 0


def clean(store: Store, options: argparse.Namespace) -> int:
    """Show what no run or sweep refers to; with --yes, remove it."""
    items, found = _look(store, options)
    going = unused(items, found)
    failed: list[tuple[Item, str]] = []
    if options.yes:
        _all_known(found)
        with bar("clean", len(going)) as shown:
            going, failed = remove(
                store, going, lambda: _all_known(_users(store, options)), shown.advance
            )
    if options.json:
        print(json.dumps([show.to_json(item, found) for item in going], indent=2))
    else:
        echo(show.heading(store.root, items, found))
        echo(show.rows(going, found, None if options.all else SHOWN))
        echo(show.outcome(going, removed=options.yes))
    for item, why in failed:
        complain(PROGRAM, f"{item.path}: cannot be removed ({why})")
    return 1 if failed else 0


def _store(options: argparse.Namespace) -> Store:
    root = store_dir(options.store_dir)
    if not (root / ".locks").is_dir():
        raise StoreError(f"{root}: no such store; choose one with --store-dir or SANITY_STORE_DIR")
    return Store(root)


def _look(store: Store, options: argparse.Namespace) -> tuple[list[Item], Users]:
    """What there is and who uses it: seconds, in a store of thousands."""
    with err.status("reading the store") if err.is_terminal else nullcontext():
        return inventory(store), _users(store, options)


def _users(store: Store, options: argparse.Namespace) -> Users:
    missing = [place for place in options.places if not place.is_dir()]
    if missing:
        raise StoreError(f"{missing[0]}: no such directory")
    found = users(store.root, options.places)
    if options.places:
        found.stale.clear()  # who was moved is found there, and may be looked for again
    if options.gone:
        found = found.without(found.elsewhere)
    return found.without({UNKNOWN}) if options.earlier else found


def _all_known(found: Users) -> Users:
    """The same users; raises StoreError where not everybody could be asked."""
    if found.unreadable:
        raise StoreError(
            f"{found.unreadable[0]}: cannot be read, so that nobody knows what it uses: mend or "
            "remove it; nothing more is removed"
        )
    return found


def _parser() -> argparse.ArgumentParser:
    found = parser(PROGRAM, __doc__)
    commands = found.add_subparsers(metavar="COMMAND")
    known: dict[str, Callable[[Store, argparse.Namespace], int]] = {
        "list": listing,
        "verify": check,
        "clean": clean,
    }
    for name, function in known.items():
        summary = (function.__doc__ or "").split(";")[0].removesuffix(".")
        command = commands.add_parser(name, help=summary, description=summary)
        command.set_defaults(command=function, places=[], gone=False, earlier=False)
        command.add_argument("--store-dir", help="the store, where it is not the default one")
        command.add_argument("--json", action="store_true", help="everything, for programs")
        if name != "verify":
            command.add_argument("--all", action="store_true", help=f"more than {SHOWN} rows")
            where = "where else to look for records and sweeps, such as outputs"
            command.add_argument("places", nargs="*", type=Path, metavar="DIR", help=where)
            command.add_argument(
                "--gone",
                action="store_true",
                help="take directories of other hosts that cannot be seen from here for deleted",
            )
            command.add_argument(
                "--earlier",
                action="store_true",
                help="take results of before their users were noted for unused",
            )
        if name == "clean":
            command.add_argument("--yes", action="store_true", help="remove it")
    return found


if __name__ == "__main__":
    sys.exit(main())
