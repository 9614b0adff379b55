"""hydra/launcher=slurm: submit to SLURM, through hydra-submitit-launcher's parameters."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from hydra_plugins.hydra_submitit_launcher.config import SlurmQueueConf
from hydra_plugins.hydra_submitit_launcher.submitit_launcher import SlurmLauncher as Submitit
from omegaconf import OmegaConf

from .base import SweepLauncher

if TYPE_CHECKING:
    from sanity.sweep.pace import Capacity
    from sanity.sweep.scheduler import Scheduler
    from sanity.sweep.sweep import Sweep


class SlurmLauncher(SweepLauncher, Submitit):
    """Submits shared stages and jobs, and waits for them unless ``wait`` is false.

    ``stage`` holds the resources of shared stages where they differ from those of jobs.
    """

    def setup(self, **given: Any) -> None:
        """Refuse before anything is planned where there is no SLURM."""
        from sanity.sweep.launch import sweep_directory
        from sanity.sweep.slurm import cluster
        from sanity.sweep.slurm.requests import validate, validate_directory

        super().setup(**given)
        validate(self.params)
        _refuse_unknown("hydra.launcher", self.params)
        _refuse_unknown("hydra.launcher.stage", self.params["stage"] or {})
        validate_directory(sweep_directory(self.config))
        if not self.config.sweep.plan:
            cluster.require()

    def capacity(self) -> "Capacity":
        """``array_parallelism`` jobs at a time, or as many as there is room for."""
        from sanity.sweep.pace import Capacity, kind_of

        gpus = self.params["gpus_per_node"] or self.params["gres"]
        chosen = "cuda" if gpus else "cpu"
        device = chosen if self.config.device == "auto" else kind_of(self.config.device)
        return Capacity(self.params["array_parallelism"], self.params["cpus_per_task"] or 1, device)

    def scheduler(self, sweep: "Sweep") -> "Scheduler":
        """SLURM."""
        from sanity.sweep.slurm.scheduler import Slurm

        return Slurm(sweep)

    @property
    def settings(self) -> Mapping[str, Any]:
        """As hydra-submitit-launcher has them."""
        return self.params


def _refuse_unknown(group: str, names: Iterable[str]) -> None:
    from submitit.slurm.slurm import SlurmExecutor

    from sanity.core.config import unknown_setting
    from sanity.core.errors import ConfigError
    from sanity.sweep.slurm.requests import OURS

    known = {*OURS, *OmegaConf.structured(SlurmQueueConf), *SlurmExecutor._valid_parameters()}
    for name in names:
        if name not in known:
            advice = "or give it to sbatch in additional_parameters"
            raise ConfigError(f"{unknown_setting(group, name, known)}, {advice}")
