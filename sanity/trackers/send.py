"""Show finished runs from their records: those without a tracker, or whose tracker failed."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from sanity.core import console
from sanity.core.errors import StoreError, one_line, reason
from sanity.record.reading import damaged, read
from sanity.trackers import say_where
from sanity.trackers.base import Tracker
from sanity.trackers.hub import Hub
from sanity.trackers.shown import SHOWN, ShownRuns

FOREVER = 3600.0  # seconds: here nothing waits for the tracker but its user


def send(
    places: Sequence[Path],
    choose: Callable[[dict[str, Any]], Sequence[Tracker]],
    *,
    anew: bool,
) -> tuple[int, int]:
    """Show the runs below ``places``; how many there are, and of how many not all could be shown.

    ``choose`` gives the trackers for what a record says. What a tracker has shown already is left
    out, unless ``anew``. Raises StoreError, before anything is sent, for a place without runs or a
    record that cannot be read.
    """
    runs = [run for place in places for run in _runs(place)]
    chosen = [choose(content) for content, _ in runs]
    failed = 0
    with console.bar("send", len(runs)) as bar:
        for (content, epochs), trackers in zip(runs, chosen, strict=True):
            say_where(trackers, None)
            store = Path(content["config"]["store_dir"])
            # A record may name any directory: only of a store does one note what was shown.
            shown = ShownRuns(store / SHOWN if (store / ".locks").is_dir() else None)
            hub = Hub(trackers, shown, anew=anew, advice="")
            threads = hub.replay(content, epochs)
            done = [thread.join(FOREVER) and not thread.failed for thread in threads]
            failed += not all(done)
            bar.advance()
    return len(runs), failed


def _runs(place: Path) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    paths = [place] if place.name == "record.json" else sorted(place.rglob("record.json"))
    if not paths:
        raise StoreError(f"{place}: has no record.json in it or below")
    for path in paths:
        content = read(path)
        try:
            lines = (path.parent / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
            epochs = [json.loads(line) for line in lines]
        except FileNotFoundError:
            continue  # a run that trained nothing has no epochs
        except OSError as error:
            raise StoreError(f"{path}: cannot be read ({reason(error)})") from error
        except ValueError as error:
            raise damaged(path, one_line(error)) from error
        if not isinstance(content.get("stages"), dict):
            raise damaged(path, f"stages is {content.get('stages')}")
        yield content, epochs
