"""What counts as a difference, said before the first run so that no result can choose it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from annotated_types import Gt, Lt
from omegaconf import DictConfig, OmegaConf

from sanity.core.config import conform
from sanity.core.errors import ConfigError


@dataclass(frozen=True)
class Criteria:
    """The rules of all verdicts; the settings ``verdict.*``.

    ``margin`` is in points of test accuracy: smaller effects do not matter. ``alpha`` bounds the
    chance of any wrong verdict of a kind within a ``family``: all checks of a ``cell``, or of the
    whole ``report``. ``until``: the ``seeds`` are those of the grid, or more are added until every
    question is ``decided``.
    """

    margin: Annotated[float, Gt(0), Lt(100), "points of accuracy that are too few to matter"] = 0.5
    alpha: Annotated[float, Gt(0), Lt(0.5), "the chance of a wrong verdict"] = 0.05
    family: Literal["cell", "report"] = "cell"
    until: Literal["seeds", "decided"] = "seeds"

    @property
    def grows(self) -> bool:
        """Whether seeds are added until questions are decided."""
        return self.until == "decided"


def of(cfg: DictConfig) -> Criteria:
    """The criteria of a configuration, ``verdict.*``; raises ConfigError for what is wrong."""
    node = OmegaConf.select(cfg, "verdict")
    return read(OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node)


def read(values: Any) -> Criteria:
    """The criteria given by the settings ``values``; what they do not say is the default."""
    if not isinstance(values, Mapping | None):
        raise ConfigError(f"verdict={values}: must be settings, such as verdict.margin=0.5")
    return Criteria(**conform("verdict", Criteria, values or {}))
