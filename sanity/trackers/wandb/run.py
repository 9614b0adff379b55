"""One training as a run of W&B: its rows, its summary, what it is made of and what it leaves."""

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sanity.core.files import near
from sanity.trackers.base import Curve, Ending, Files, Problem, Training
from sanity.trackers.wandb.log import becomes_whole
from sanity.trackers.wandb.session import service, session, short

BY_EPOCH = (
    *("train_loss", "train_accuracy", "test_loss", "test_accuracy"),
    *("validation_loss", "validation_accuracy", "lr", "images_per_second", "seconds"),
)
SPARSITY, ACCURACY = "vs_sparsity/sparsity", "vs_sparsity/test_accuracy"
LAYER, DENSITY = "vs_layer/layer", "vs_layer/density"
"""Rows that are axes of plots. Viewers that sort by name show the curves of training before them:
a chart of one point tells nothing."""
EXIT_CODES = {"completed": 0, "failed": 1, "interrupted": 130}
CLOSING = 2.0  # seconds that the file of an ended run may take to be closed


class WandbCurve(Curve):
    """One run of W&B; the server has ``timeout`` seconds, ``artifacts`` says whether to upload."""

    def __init__(self, run: Any, training: Training, timeout: float, artifacts: bool) -> None:
        self._run, self._timeout, self._artifacts = run, timeout, artifacts
        self._next: int = run.starting_step
        self._last = -1
        run.define_metric("epoch", hidden=True)
        for name in BY_EPOCH:
            run.define_metric(name, step_metric="epoch", step_sync=False)
        run.define_metric(ACCURACY, step_metric=SPARSITY, step_sync=False)
        run.define_metric(DENSITY, step_metric=LAYER, step_sync=False)
        self._trouble: Exception | None = None
        self._with_limit(lambda: self._log_artifacts(training.inputs, used=("dense",)))

    def add(self, figures: Mapping[str, Any]) -> None:
        """Log an epoch; its number is the step."""
        self._last = figures["epoch"]
        self._log(self._last, figures)

    def finish(self, ending: Ending) -> None:
        """Log the summary, the layers and what is left of the training, and end the run."""
        if ending.status == "completed":
            self._try(lambda: self._log_final(ending))
            self._with_limit(lambda: self._log_chart_and_artifacts(ending))
        elif ending.status == "interrupted" and not self._run.offline:
            self._try(self._run.mark_preempting)
        directory = Path(self._run.settings.sync_dir)
        with service:
            try:
                self._run.finish(exit_code=EXIT_CODES[ending.status])
            except TimeoutError:
                self._trouble = TimeoutError("the server has not taken everything in time")
            except Exception as error:  # a full disk, or its own process gone
                self._trouble = self._trouble or error
            problems = list(session.problems)
            session.problems.clear()
        file = directory / f"run-{self._run.id}.wandb"
        if self._run.offline:
            if not becomes_whole(file, CLOSING) or self._trouble is not None:
                why = "is the disk full?" if self._trouble is None else short(self._trouble)
                raise Problem(
                    f"{near(directory)} could not be written to its end ({why}); "
                    "`python -m sanity.trackers send` with the run's directory shows it later"
                )
        elif self._trouble or problems:
            becomes_whole(file, CLOSING)  # before the program ends, and wandb's process with it
            said = str(self._trouble or problems[0]).strip().removeprefix("wandb: ")
            why = said.removeprefix("WARNING ").splitlines()[0]
            raise Problem(
                f"{why}; `wandb sync --include-online {near(directory)}` uploads what is missing"
            )

    def note(self) -> dict[str, Any]:
        """Whether the server has it, or only the disk."""
        return {"online": not self._run.offline}

    def _try(self, what: Callable[[], Any]) -> None:
        """Whatever fails, the run is still to be ended; its trouble is told then."""
        try:
            what()
        except Exception as error:  # wandb's errors are of many kinds
            self._trouble = self._trouble or error

    def _log(self, step: int, row: Mapping[str, Any]) -> None:
        if step >= self._next:  # the server has the others
            self._run.log(dict(row), step=step, commit=True)

    def _log_final(self, ending: Ending) -> None:
        """The summary, and rows of what plots take for axes."""
        found = ending.summary
        self._run.summary.update(dict(found))
        first = self._last + 1
        rows = []
        if {"final/sparsity", "final/test_accuracy"} <= found.keys():
            rows.append({SPARSITY: found["final/sparsity"], ACCURACY: found["final/test_accuracy"]})
        rows += [{LAYER: i, DENSITY: row[-1]} for i, row in enumerate(ending.layers)]
        for step, row in enumerate(rows, start=first):
            self._log(step, row)
        self._last += len(rows)

    def _log_chart(self, layers: Sequence[tuple[str, int, int, float]]) -> None:
        """The layers as a table, with their densities drawn."""
        import wandb

        step = self._last + 1
        if not layers or step < self._next:
            return
        columns: list[str | int] = ["layer", "total", "kept", "density"]
        table = wandb.Table(columns=columns, data=[list(layer) for layer in layers])
        title = "Density (kept / total) of each layer"
        chart = wandb.plot.bar(table, "layer", "density", title=title)
        self._log(step, {"vs_layer_table": table, "vs_layer_chart": chart})

    def _with_limit(self, what: Callable[[], Any]) -> None:
        """Do what needs the server; one that does not answer is given a part of the timeout.

        wandb itself has no limit for tables and artifacts, and asks for half a minute and more.
        """
        if isinstance(self._trouble, TimeoutError):
            return
        asking = threading.Thread(target=self._try, args=(what,), daemon=True)
        asking.start()
        asking.join(self._timeout / 8)
        if asking.is_alive():
            self._trouble = self._trouble or TimeoutError("the server does not answer")

    def _log_chart_and_artifacts(self, ending: Ending) -> None:
        self._log_chart(ending.layers)
        self._log_artifacts(ending.files, used=())

    def _log_artifacts(self, files: Files, used: Sequence[str]) -> None:
        """Upload files, named by their keys; ``used`` are those that the run is made from."""
        import wandb

        if self._run.offline or not self._artifacts:
            return
        for kind, (key, path) in files.items():
            if not path.exists():  # the store has lost it since, or is elsewhere
                continue
            artifact = wandb.Artifact(f"{kind}-{key}", type=kind)
            artifact.add_file(str(path), policy="immutable", skip_cache=True)
            upload = self._run.use_artifact if kind in used else self._run.log_artifact
            upload(artifact)
