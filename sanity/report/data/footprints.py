"""What tickets cost, as records tell it: checked, and averaged over the runs of an arm."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sanity.report.data.runs import Run

COUNTING = (
    "Means over runs. MACs are multiply-accumulates of one image's forward pass, two FLOPs each: "
    "every kept weight of a convolution or linear layer counts once an output position, padding as "
    "computed; biases, norms, activations and pooling do not count. The size is that of the "
    "tensors as they are stored: kept values, a bit a weight for the mask, and all that is never "
    "pruned. Effective are the kept weights on a path of kept weights from input to output, the "
    "units of a convolution being its channels, position by position. Cells are empty "
    "where records of earlier versions do not tell, and where a network cannot be counted so."
)


@dataclass(frozen=True)
class Costs:
    """Means over the runs of an arm that tell; None where none does.

    ``effective`` is the share of kept weights on a path from input to output; sizes are bytes.
    """

    kept: float | None
    total: float | None
    macs: float | None
    dense_macs: float | None
    bytes: float | None
    dense_bytes: float | None
    effective: float | None

    @property
    def density(self) -> float | None:
        """The share of weights that is kept."""
        return None if self.kept is None or not self.total else self.kept / self.total


def costs(runs: Iterable[Run]) -> Costs:
    """What the tickets of an arm cost on average."""
    tickets = [run.ticket for run in runs if run.ticket]
    told: list[Mapping[str, int]] = [ticket.get("footprint", {}) for ticket in tickets]
    shares = [
        found["effective"] / ticket["kept"]
        for found, ticket in zip(told, tickets, strict=True)
        if "effective" in found and ticket["kept"]
    ]
    names = ("macs", "dense_macs", "bytes", "dense_bytes")
    return Costs(
        kept=_mean([ticket["kept"] for ticket in tickets]),
        total=_mean([ticket["total"] for ticket in tickets]),
        **{name: _mean([found[name] for found in told if name in found]) for name in names},
        effective=_mean(shares),
    )


def _mean(values: list[Any]) -> float | None:
    return sum(values) / len(values) if values else None
