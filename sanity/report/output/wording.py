"""Words for what settings name, and for numbers: as a paper would print them."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any, get_args

import sanity.checks
import sanity.rewinds
from sanity.checks.base import Check, Target
from sanity.core.option import options
from sanity.rewinds.base import Rewind
from sanity.stats.criteria import Criteria
from sanity.stats.forecast import LIMIT
from sanity.stats.paired import Paired
from sanity.stats.verdicts import Judgement

ORIGINAL = "none"
RANDOM_TICKET = "random_ticket"
MINUS = "\N{MINUS SIGN}"


@functools.cache
def _checks() -> dict[str, type[Check]]:
    """The checks of this package by name, in the order of the chain."""
    found = options(sanity.checks, Check)
    order = get_args(Target)
    return dict(sorted(found.items(), key=lambda item: order.index(item[1].target)))


def position(check: str) -> int:
    """Where a check's column stands: in the order of the chain, random tickets behind, then one's
    own."""
    known = [*_checks(), RANDOM_TICKET]
    return known.index(check) if check in known else len(known)


def change(check: str) -> str:
    """A check's column: what it makes of a ticket."""
    if check == RANDOM_TICKET:
        return "a random ticket"
    known = _checks().get(check)
    return known.change if known else check.replace("_", " ")


def arm(check: str) -> str:
    """The same; a check of one's own may bear the name of the comparison that is none."""
    return check if check == RANDOM_TICKET else change(check)


def uses(check: str) -> str:
    """What a ticket may use and a check takes away."""
    known = _checks().get(check)
    return known.uses if known else f"what {check} changes"


def question(check: str) -> str:
    """What a check asks, in a line."""
    return "would it do as well?" if check == RANDOM_TICKET else f"does it depend on {uses(check)}?"


def dataset(choices: Mapping[str, str], config: Mapping[str, Any]) -> str:
    """A data set; one of one's own by the name that its settings give it."""
    name = config.get("dataset", {}).get("name") if choices["dataset"] == "folder" else None
    return str(name or choices["dataset"])


def ratio(choices: Mapping[str, str], config: Mapping[str, Any]) -> str:
    """A ratio, with the pruner that it copies."""
    lender = config.get("ratio", {}).get("of") if choices["ratio"] == "like" else None
    return choices["ratio"] + ("" if lender is None else f" {lender}")


def rewind(choice: str) -> str:
    """Where a ticket starts: at initialisation, or from later weights."""
    known = options(sanity.rewinds, Rewind).get(choice)
    return known.start if known else f"rewound {choice}"


def method(choices: Mapping[str, str], config: Mapping[str, Any]) -> str:
    """A method by its score, ratio and rewind."""
    epoch = config.get("rewind", {}).get("epoch")
    late = f" to {epoch:g}" if isinstance(epoch, int | float) and epoch else ""
    start = rewind(choices["rewind"]) + late
    return f"{choices['pruner']} × {ratio(choices, config)}, {start}"


def settings(values: Mapping[str, Any]) -> str:
    """``lr=0.1 epochs=3``: settings by the last part of their names."""
    return " ".join(f"{name.split('.')[-1]}={value}" for name, value in values.items())


def percent(share: float | None) -> str:
    """A sparsity: 98%, 99.5%."""
    return "" if share is None else f"{100 * share:.6g}%"


def points(value: float | None, sign: bool = True) -> str:
    """A difference in points of accuracy: +0.28, −1.39."""
    if value is None:
        return ""
    value = round(value, 2) + 0.0  # no negative zero
    text = f"{value:+.2f}" if sign else f"{value:.2f}"
    return text.replace("-", MINUS)


def margin(value: float) -> str:
    """A margin with its unit: 0.5 points, 1 point."""
    return f"{value:g} point{'' if value == 1 else 's'}"


def over_looks(criteria: Criteria) -> str:
    """How the rules count where seeds were added until questions were decided."""
    return " and all looks at a growing number of seeds" if criteria.grows else ""


def interval(bounds: tuple[float, float] | None) -> str:
    """[−1.39, +0.28]."""
    return "" if bounds is None else f"[{points(bounds[0])}, {points(bounds[1])}]"


def probability(value: float | None) -> str:
    """A p-value with the digits that it has: 0.032, < 0.001."""
    if value is None:
        return ""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def effect(paired: Paired) -> str:
    """−1.39 [−2.51, −0.28]; where seeds have come since the latest look, as it was then."""
    return f"{points(paired.middle)} {interval(paired.interval)}".strip()


def forecast(judgement: Judgement) -> str:
    """What more seeds would probably say of an open question; nothing where it is too early."""
    ahead, most = judgement.forecast, judgement.paired.most
    if ahead is None:
        return ""
    if ahead.seeds is None:
        return f"open after {most or LIMIT:,} seeds in {1 - ahead.chance:.0%} of cases"
    low, high = ahead.fewest or ahead.seeds, ahead.most
    span = f"{low:,}" if low == high else f"{low:,} to {high:,}" if high else f"{low:,} or more"
    which = {True: "probably depends", False: "probably does not depend", None: "either way"}
    return f"{which[ahead.depends]}: {span} {'' if most else 'new '}seeds"


def spread(mean: float | None, deviation: float | None) -> str:
    """98.06 ±0.28; without a deviation where there is one value only."""
    if mean is None:
        return ""
    return f"{mean:.2f}" + ("" if deviation is None else f" ±{deviation:.2f}")


def count(number: int, noun: str) -> str:
    """1 seed, 3 seeds."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def listed(items: Sequence[str]) -> str:
    """a, b and c."""
    return " and ".join([", ".join(items[:-1]), items[-1]] if len(items) > 1 else items)
