"""Short names that tell methods, contexts and checks apart."""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

from sanity.report.data.runs import Run
from sanity.report.output import wording

Key = tuple[str, ...]
"""Choices, and last the digest of all settings."""


def methods(found: Mapping[Key, Run]) -> dict[Key, str]:
    """Methods by pruner; ratio and rewind are said where they do not follow from it."""
    ratios, rewinds = defaultdict(set), defaultdict(set)
    for run in found.values():
        ratios[run.choices["pruner"]].add(wording.ratio(run.choices, run.config))
        rewinds[run.choices["pruner"]].add(run.choices["rewind"])
    names = {}
    for key, run in found.items():
        pruner = run.choices["pruner"]
        ratio = wording.ratio(run.choices, run.config) if len(ratios[pruner]) > 1 else ""
        rewind = wording.rewind(run.choices["rewind"]) if len(rewinds[pruner]) > 1 else ""
        names[key] = f"{pruner}{' × ' if ratio else ''}{ratio}{', ' if rewind else ''}{rewind}"
    return names


def distinct(names: Mapping[Key, str]) -> dict[Key, str]:
    """Names made unique by the settings (the last part of each key) in which namesakes differ."""
    namesakes: dict[str, dict[Key, dict[str, Any]]] = defaultdict(dict)
    for key, name in names.items():
        namesakes[name][key] = json.loads(key[-1])
    labels = {}
    for name, group in namesakes.items():
        texts = {key: {(s, digest(own[s])) for s in own} for key, own in group.items()}
        shared = set.intersection(*texts.values())
        for key, own in group.items():
            differ = {setting: own[setting] for setting, _ in sorted(texts[key] - shared)}
            labels[key] = f"{name} ({wording.settings(differ)})" if differ else name
    return _unique(labels)


def _unique(labels: Mapping[Key, str]) -> dict[Key, str]:
    """Numbers for labels that are the same all the same, such as those of 1 and "1"."""
    uses: Counter[str] = Counter()
    found = {}
    for key, label in labels.items():
        uses[label] += 1
        found[key] = label if uses[label] == 1 else f"{label} #{uses[label]}"
    return found


def digest(values: Any) -> str:
    """Settings as text that is the same for settings that are the same."""
    return json.dumps(values, sort_keys=True, default=str)
