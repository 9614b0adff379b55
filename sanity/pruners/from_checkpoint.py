"""A mask found elsewhere: in a file that another tool has made."""

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from torch import nn

from sanity.core.config import absolute
from sanity.core.errors import DataError, as_line, reason
from sanity.core.files import sha256
from sanity.networks.foreign.names import Wanted
from sanity.pruners.base import Given, Pruner, Scores, Scoring
from sanity.pruning import masks
from sanity.pruning.foreign_mask import Found, mask_in

SETTING = "pruner.path"


@dataclass
class FromCheckpoint(Pruner):
    """Keeps what the mask in ``path`` keeps; of a file without masks, what is not 0 in it."""

    version: ClassVar[int] = 2  # before, explicit masks were not looked at
    decides_sparsity: ClassVar[bool] = True

    path: str

    def score(self, scoring: Scoring) -> Scores:
        """1 for a kept weight, 0 for a pruned one. Raises DataError where the file does not fit."""
        mask = self._found(scoring.network).mask
        return {name: mask[name].float() for name in scoring.blueprint.names}

    def given(self, network: nn.Module) -> Given:
        """The mask's counts, and how it was read."""
        found = self._found(network)
        return Given(masks.kept(found.mask), tuple(f"{SETTING}: {note}" for note in found.notes))

    def identity(self, settings: dict[str, Any]) -> dict[str, Any]:
        """The file's contents, wherever it lies."""
        return settings | {"path": self._digest()}

    def _found(self, network: nn.Module) -> Found:
        digest, path = self._digest(), absolute(SETTING, self.path)
        try:
            return _read(path, digest, Wanted.of(network))
        except DataError as error:
            # The same file twice in a line helps nobody.
            text = str(error).removeprefix(f"{as_line(path)}: ")
            raise DataError(f"{SETTING}={self.path}: {text}") from None

    def _digest(self) -> str:
        path, what = absolute(SETTING, self.path), "no such file"
        try:
            if path.is_file():
                return sha256(path)
        except OSError as error:  # of what nobody may read, of a name that is too long
            what = f"cannot be read: {reason(error)}"
        raise DataError(f"{SETTING}={as_line(self.path)}: {what}")


@functools.lru_cache(maxsize=8)
def _read(path: Path, digest: str, wanted: Wanted) -> Found:
    """The mask in a file; the stages of a run and the jobs of a sweep ask for it again."""
    return mask_in(path, wanted)
