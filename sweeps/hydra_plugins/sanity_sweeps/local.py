"""hydra/launcher=local: all cores, or all GPUs, of this machine."""

from typing import TYPE_CHECKING, Any

from .base import SweepLauncher

if TYPE_CHECKING:
    from sanity.sweep.pace import Capacity
    from sanity.sweep.scheduler import Scheduler
    from sanity.sweep.sweep import Sweep


class LocalLauncher(SweepLauncher):
    """Runs ``n_jobs`` jobs at a time by joblib's workers (null: one a GPU, or one a core)."""

    def __init__(self, n_jobs: int | None = None, **unread: Any) -> None:
        self.n_jobs, self.unread = n_jobs, unread

    def setup(self, **given: Any) -> None:
        """Refuse before anything is planned what the launcher does not know."""
        from sanity.core.config import unknown_setting
        from sanity.core.errors import ConfigError

        for name in self.unread:
            raise ConfigError(unknown_setting("hydra.launcher", name, ["n_jobs"]))
        super().setup(**given)

    def capacity(self) -> "Capacity":
        """A worker a GPU, or a core, and each its share of the machine's cores."""
        from sanity.core.cores import cores
        from sanity.core.errors import ConfigError
        from sanity.sweep import local
        from sanity.sweep.pace import Capacity, kind_of

        if self.n_jobs is not None and (not isinstance(self.n_jobs, int) or self.n_jobs < 1):
            raise ConfigError(f"hydra.launcher.n_jobs={self.n_jobs}: must be 1 or more, or null")
        devices = local.devices() if self.config.device == "auto" else []
        workers = self.n_jobs or len(devices) or cores()
        threads = self.config.threads or max(1, cores() // workers)
        return Capacity(workers, threads, kind_of(self.config.device))

    def scheduler(self, sweep: "Sweep") -> "Scheduler":
        """Processes of this machine."""
        from sanity.sweep.scheduler import Local

        return Local(sweep)
