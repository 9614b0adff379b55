"""What counts as a difference, said before the first run so that no result can choose it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig, OmegaConf

from sanity.core.config import conform, unknown
from sanity.core.errors import ConfigError

FAMILIES = ("cell", "report")


@dataclass(frozen=True)
class Criteria:
    """The rules of all verdicts; the settings ``verdict.*``.

    ``margin`` is in points of test accuracy: smaller effects do not matter. ``alpha`` bounds the
    chance of any wrong verdict of a kind within a ``family``: all checks of a ``cell``, or of the
    whole ``report``.
    """

    margin: float = 0.5
    alpha: float = 0.05
    family: str = "cell"

    def validate(self) -> None:
        """Raise ConfigError for values that no test can use."""
        if not 0 < self.margin < 100:
            raise ConfigError(
                f"verdict.margin={self.margin:g}: must be above 0 and below 100, the points of "
                "accuracy that are too few to matter"
            )
        if not 0 < self.alpha < 0.5:
            raise ConfigError(
                f"verdict.alpha={self.alpha:g}: must be above 0 and below 0.5, the chance of a "
                "wrong verdict"
            )
        if self.family not in FAMILIES:
            raise ConfigError(unknown("verdict.family", self.family, FAMILIES))


def of(cfg: DictConfig) -> Criteria:
    """The criteria of a configuration, ``verdict.*``; raises ConfigError for what is wrong."""
    node = OmegaConf.select(cfg, "verdict")
    return read(OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node)


def read(values: Any) -> Criteria:
    """The criteria given by the settings ``values``; what they do not say is the default."""
    if not isinstance(values, Mapping | None):
        raise ConfigError(f"verdict={values}: must be settings, such as verdict.margin=0.5")
    criteria = Criteria(**conform("verdict", Criteria, values or {}))
    criteria.validate()
    return criteria
