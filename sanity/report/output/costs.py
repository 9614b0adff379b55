"""What tickets cost, and the computing that found them, in the words of all formats."""

from sanity.core.console import duration
from sanity.report.data.computing import computing
from sanity.report.data.footprints import Costs, costs
from sanity.report.output import wording
from sanity.report.output.tables import Table
from sanity.report.report import Report

UNITS = ((1e9, " G"), (1e6, " M"), (1e3, " k"))


def tickets(report: Report) -> Table:
    """A row a method and arm: weights, multiply-accumulates, size, effective weights."""
    rows = []
    for cell in report.cells:
        for arm in cell.arms.values():
            found = costs(arm.runs.values())
            if found.kept is not None:
                place = {"method": cell.label, "change": arm.label}
                context = {"context": cell.context.label} if len(report.contexts) > 1 else {}
                rows.append({**context, **place, **_row(found)})
    return rows


def _row(found: Costs) -> dict[str, str]:
    ratio = _share(found.macs, found.dense_macs)
    size, dense = (_kilobytes(value) for value in (found.bytes, found.dense_bytes))
    return {
        "kept": f"{round(found.kept or 0):,}",
        "density": _share(found.kept, found.total),
        "MACs": "" if found.macs is None else f"{large(found.macs)} ({ratio})",
        "dense MACs": "" if found.dense_macs is None else large(found.dense_macs),
        "kB": size,
        "dense kB": dense,
        "effective": _share(found.effective, 1.0),
    }


def large(value: float) -> str:
    """A count with three digits: 40.0 k, 276 M; below a thousand as it is."""
    for size, unit in UNITS:
        if value >= 0.9995 * size:
            scaled = value / size
            return f"{scaled:.{2 if scaled < 9.995 else 1 if scaled < 99.95 else 0}f}{unit}"
    return f"{round(value):,}"


def spent(report: Report) -> str:
    """The computing that the runs took, in a sentence."""
    found = computing(report.runs)
    if not found.trained:
        return ""
    kinds = [(found.dense, "dense network"), (found.tickets, "ticket")]
    counted = wording.listed([wording.count(number, noun) for number, noun in kinds if number])
    devices = f" on {wording.listed(list(found.devices))}" if found.devices else ""
    least = "" if found.is_known else "at least "
    return (
        f"Computing: {counted} trained{devices} in {least}{duration(found.training)} of clock "
        f"time, and {duration(found.rest)} for masks and all else. What runs share counts once; "
        "runs without a result do not count."
    )


def _kilobytes(value: float | None) -> str:
    return "" if value is None else f"{value / 1000:,.1f}"


def _share(part: float | None, whole: float | None) -> str:
    """Of a whole, in percent; 100 only where nothing is missing."""
    if part is None or not whole:
        return ""
    share = part / whole
    return f"{100 * (min(share, 0.9999) if share < 1 else share):.2f}%"
