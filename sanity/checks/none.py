"""No check: the method as it is."""

from dataclasses import dataclass
from typing import ClassVar

from sanity.checks.base import Check, Target


@dataclass
class NoCheck(Check):
    """Perturbs nothing."""

    target: ClassVar[Target] = "nothing"
    change = "as found"
