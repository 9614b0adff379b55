"""The layer counts of another pruner, as in random tickets with the ratios of SNIP or GraSP."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sanity.core.errors import ConfigError
from sanity.networks.layers import Blueprint
from sanity.ratios.base import Allocation, Budget, Ratio


@dataclass
class Like(Ratio):
    """Every layer keeps as many weights as the pruner ``of`` keeps there at the same sparsity.

    ``of`` is a pruner's name or its class's dotted path and ``settings`` its options; the
    pipeline prunes with it first and passes its counts as the budget's ``donor``. ``sparsity`` is
    None where the pruner decides it.
    """

    sparsity: float | None = 0.98
    of: str = "snip"
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def donor(self) -> tuple[str, Mapping[str, Any]]:
        """As it is set."""
        return self.of, self.settings

    def allocate(self, blueprint: Blueprint, budget: Budget) -> Allocation:
        """The donor's counts; raises ConfigError for a layer that the donor does not know."""
        missing = [name for name in blueprint.names if name not in budget.donor]
        if missing:
            raise ConfigError(f"ratio.of={self.of} gives no number of weights for {missing[0]}")
        return Allocation({name: budget.donor[name] for name in blueprint.names})
