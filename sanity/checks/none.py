"""No check: the method as it is."""

from dataclasses import dataclass

from sanity.checks.base import Check


@dataclass
class NoCheck(Check):
    """Perturbs nothing."""

    target = "nothing"
    change = "as found"
