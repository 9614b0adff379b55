"""Fields of a record, as anybody may have left them: checked, or ValueError and its like."""

import math
from collections.abc import Mapping
from typing import Any

from sanity.core.errors import as_line

COSTS = ("macs", "dense_macs", "bytes", "dense_bytes", "effective")
MOST = 2**63 - 1  # of anything that is counted
LONGEST = 1e10  # seconds, three centuries


def computed_by(how: Any) -> str:
    """ "the dense engine on cpu"; nothing where that is not known."""
    if not isinstance(how, Mapping) or "engine" not in how:
        return ""
    return as_line(f"the {how['engine']} engine on {how.get('device')}")


def device(how: Any) -> str:
    """The device alone."""
    return as_line(how["device"]) if isinstance(how, Mapping) and "device" in how else ""


def seconds(value: Any) -> float | None:
    """How long a stage took; None where nobody noted it."""
    if value is None:
        return None
    if not is_number(value) or not 0 <= value <= LONGEST:
        raise ValueError(f"a stage took {value} seconds")
    return float(value)


def ticket(
    content: Mapping[str, Any] | None, asked: float | str | None
) -> Mapping[str, Any] | None:
    """A ticket's counts; ``asked`` is the sparsity meant, which the record knows of a file's."""
    if content is None:
        return None
    if isinstance(asked, str | None):
        asked = content.get("asked")
        if asked is not None and not (is_number(asked) and 0 <= asked <= 1):
            raise ValueError(f"ticket.asked is {asked}")
    layers = []
    for layer in content["layers"]:
        total, kept = int(layer["total"]), int(layer["kept"])
        if total < 1 or not 0 <= kept <= total:
            raise ValueError("ticket.layers has counts that no layer can have")
        layers.append({"name": str(layer["name"]), "total": total, "kept": kept})
    figures = {"kept": int(content["kept"]), "total": int(content["total"])}
    if not is_number(content["sparsity"]):
        raise ValueError(f"ticket.sparsity is {content['sparsity']}")
    if not 0 <= figures["kept"] <= figures["total"] <= MOST or not figures["total"]:
        raise ValueError("ticket has counts that no network can have")
    ties = {name: int(value) for name, value in (content.get("ties") or {}).items()}
    found = {**figures, "sparsity": float(content["sparsity"]), "layers": layers, "asked": asked}
    footprint = _footprint(content.get("footprint"), figures["kept"])
    more = {"ties": ties, "footprint": footprint}
    return found | {name: value for name, value in more.items() if value}


def _footprint(content: Any, kept: int) -> dict[str, int]:
    """What is known of it; raises ValueError for what no ticket can cost."""
    if content is None:
        return {}
    found = {name: content[name] for name in COSTS if content.get(name) is not None}
    if not all(type(value) is int and 0 <= value <= MOST for value in found.values()):
        raise ValueError("ticket.footprint has counts that no network can have")
    if found.get("effective", 0) > kept or found.get("macs", 0) > found.get("dense_macs", 0):
        raise ValueError("ticket.footprint is not that of the ticket")
    return found


def is_number(value: Any) -> bool:
    """Whether one can compute with it."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and math.isfinite(value)
