"""A mask found elsewhere: the nonzero weights of a pruned network's checkpoint."""

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from sanity.core.config import absolute
from sanity.core.errors import ConfigError, DataError
from sanity.core.files import sha256
from sanity.networks.checkpoint import load_state_dict
from sanity.pruners.base import Pruner, Scores, Scoring


def prunable_in(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The convolution (4-d) and linear (2-d) weights of a state dict, by layer name."""
    return {
        name.removesuffix(".weight"): tensor
        for name, tensor in state.items()
        if name.endswith(".weight") and tensor.dim() in (2, 4)
    }


@dataclass
class FromCheckpoint(Pruner):
    """Keeps what is not 0 in ``path``, a file of the reference or any state dict."""

    decides_sparsity: ClassVar[bool] = True

    path: str

    def score(self, scoring: Scoring) -> Scores:
        """1 for a nonzero weight, 0 for a zero. Raises ConfigError where the layers differ."""
        found = self._weights()
        for layer in scoring.blueprint.layers:
            shape = tuple(found[layer.name].shape) if layer.name in found else None
            if shape != layer.shape:
                what = "no such layer" if shape is None else f"the shape {shape}"
                raise ConfigError(
                    f"pruner.path={self.path}: of another network than arch: for {layer.name} of "
                    f"the shape {layer.shape} it has {what}"
                )
        return {layer.name: (found[layer.name] != 0).float() for layer in scoring.blueprint.layers}

    def kept(self, total: int, sparsity: float | None) -> int:
        """The nonzero weights in the file, whatever ``sparsity`` says."""
        weights = self._weights().values()
        size = sum(weight.numel() for weight in weights)
        if size != total:
            raise ConfigError(
                f"pruner.path={self.path}: of another network than arch: it has {size} prunable "
                f"weights instead of {total}"
            )
        kept = sum(int(weight.count_nonzero()) for weight in weights)
        if kept == total:
            raise ConfigError(f"pruner.path={self.path}: no weight in it is 0, so it is not pruned")
        return kept

    def identity(self, settings: dict[str, Any]) -> dict[str, Any]:
        """The file's contents, wherever it lies."""
        self._weights()
        return settings | {"path": sha256(absolute("pruner.path", self.path))}

    def _weights(self) -> dict[str, Tensor]:
        try:
            return prunable_in(load_state_dict(absolute("pruner.path", self.path)))
        except DataError as error:
            raise DataError(f"pruner.path={self.path}: {error}") from None
