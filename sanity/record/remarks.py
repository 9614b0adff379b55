"""What to know of a run before believing its numbers: for its summary, its log and its report.

Each remark rests on a rule that is stated here once, so that a run and a report say the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Any

from sanity.core.errors import listed
from sanity.ratios.base import kept_share

ROUNDING = 2  # weights: pools are rounded up or down, and LT drops the weight at its threshold
HANDFUL = 5  # weights that ties may decide without a word,
SHARE = 1e-3  # or this share of the kept ones: equal floats among millions
NOISE = 2  # standard errors of an accuracy
MARGIN = 1.2  # times the accuracy of guessing, where the number of test images is not known


def same_size(kept: int, other: int, layers: int) -> bool:
    """Whether two numbers of kept weights are the same but for rounding.

    A ratio may round every layer by less than a weight, and a pruner its budget.
    """
    return abs(kept - other) <= layers + ROUNDING


def of_size(ticket: Mapping[str, Any], asked: float | None) -> str:
    """A ticket that differs from the sparsity that was asked for by more than rounding."""
    if asked is None or not 0 <= asked <= 1:
        return ""
    kept, total = ticket["kept"], ticket["total"]
    wanted = kept_share(total, asked)
    if same_size(kept, wanted, len(ticket["layers"])):
        return ""
    return (
        f"{1 - kept / total:.4%} of the weights are pruned and not ratio.sparsity={asked:g}: "
        f"{kept:,} are kept instead of {wanted:,}"
    )


def of_ties(ties: Mapping[str, Any] | None, kept: int) -> str:
    """A mask of which equal scores leave more than a handful open; results of earlier versions
    do not tell."""
    arbitrary = int((ties or {}).get("arbitrary", 0))
    if ties is None or arbitrary <= max(HANDFUL, SHARE * kept):
        return ""
    return (
        f"equal scores: {ties['tied']:,} weights have just the score at which pruning stops, and "
        f"only their order decides between them: up to {arbitrary:,} of the {kept:,} kept weights "
        "could as well be others"
    )


def of_flat(ties: Mapping[str, Any] | None) -> str:
    """A pruner that cannot tell the weights of a layer apart, as where no gradient gets there."""
    flat = (ties or {}).get("flat")
    if not isinstance(flat, list) or not flat:
        return ""
    return (
        f"all weights have the same score in {listed([str(name) for name in flat])}: nothing that "
        "the pruner looks at tells them apart, and which of them stay is no choice of the method"
    )


@dataclass(frozen=True)
class Guessing:
    """What guessing gives on a test set, in percent: one class for all, or any at random.

    ``images`` is None where the test set's size is not known (records of earlier versions).
    """

    accuracy: float
    images: int | None = None

    @property
    def limit(self) -> float:
        """The accuracy up to which a network may be guessing: two standard errors above it."""
        if self.images is None:
            return MARGIN * self.accuracy
        share = self.accuracy / 100
        return self.accuracy + NOISE * 100 * sqrt(share * (1 - share) / self.images)

    def remark(self, accuracy: float | None) -> str:
        """That ``accuracy`` is none; empty for any other."""
        if accuracy is None or accuracy > self.limit:
            return ""
        return f"no better than guessing ({self.accuracy:.4g}%)"


def guessing(content: Mapping[str, Any]) -> Guessing | None:
    """The same of a record; None where nobody noted the number of classes."""
    classes = content.get("config", {}).get("dataset", {}).get("num_classes")
    if not isinstance(classes, int) or isinstance(classes, bool) or classes < 2:
        return None
    data = content.get("data") or {}
    images, largest = (data.get(name) for name in ("test_images", "largest_class"))
    if not isinstance(images, int) or not isinstance(largest, int) or not 0 < largest <= images:
        return Guessing(100 / classes)
    return Guessing(100 * max(1 / classes, largest / images), images)


def of_ticket(ticket: Mapping[str, Any] | None) -> list[str]:
    """Remarks on a record's ticket: its size, and how its weights were chosen."""
    if not ticket:
        return []
    ties = ticket.get("ties")
    found = (of_size(ticket, ticket.get("asked")), of_ties(ties, ticket["kept"]), of_flat(ties))
    return [remark for remark in found if remark]
