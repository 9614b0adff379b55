"""Whether two arms may be compared: tickets of one size, made by the same code of the same data.

A record says which settings a run had; this asks for what settings do not tell. A ratio can miss
its budget, and one's own code, a file or a data set can change between two commands.
"""

from sanity.record import remarks
from sanity.report.data.cells import Arm
from sanity.report.data.runs import Run
from sanity.report.output import wording

NOT_COMPARED = "not compared"
OF_A_CELL: tuple[str, ...] = ("dataset", "arch", "training", "pruner", "ratio", "rewind")
OF_A_CONTEXT: tuple[str, ...] = ("dataset", "arch", "training")


def why_not(original: Arm, changed: Arm, shared: tuple[str, ...] = OF_A_CELL) -> str:
    """Why the arms are not compared, where they are not; ``shared`` are the parts both have."""
    both = [seed for seed in original.accuracies if seed in changed.accuracies]
    pairs = [(original.runs[seed], changed.runs[seed]) for seed in both]
    for one, other in pairs:
        if not _same_size(one, other):
            return f"{NOT_COMPARED}: it keeps {_size(other)}, as found {_size(one)}"
    parts = [name for name in shared if any(_differ(name, *pair) for pair in pairs)]
    if parts:
        return (
            f"{NOT_COMPARED}: the code, files or images behind {wording.listed(parts)} changed "
            "from one to the other"
        )
    return ""


def of_one_size(one: Arm, other: Arm) -> bool:
    """Whether two arms have seeds in common, and tickets of one size for each."""
    both = one.runs.keys() & other.runs.keys()
    return bool(both) and all(_same_size(one.runs[seed], other.runs[seed]) for seed in both)


def _differ(part: str, one: Run, other: Run) -> bool:
    digests = [run.identity[part] for run in (one, other) if part in run.identity]
    return len(set(digests)) > 1


def _same_size(one: Run, other: Run) -> bool:
    if one.ticket is None or other.ticket is None:
        return True
    if one.ticket["total"] != other.ticket["total"]:
        return False
    layers = max(len(one.ticket["layers"]), len(other.ticket["layers"]))
    return remarks.same_size(one.ticket["kept"], other.ticket["kept"], layers)


def _size(run: Run) -> str:
    assert run.ticket is not None, "only sizes that are known are found to differ"
    kept, total = run.ticket["kept"], run.ticket["total"]
    return f"{kept:,} of {total:,} ({1 - kept / total:.2%} pruned)"
