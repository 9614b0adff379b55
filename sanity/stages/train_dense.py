"""Stage 1: train the dense network, for pruners and rewinds that need trained weights."""

from typing import Any

from torch import Tensor

from sanity.stages.lab import Lab, happened
from sanity.stages.network import Trained
from sanity.store import Entry, Work, save_tensors
from sanity.training.loop import Splits


def train_dense(lab: Lab) -> Trained:
    """Leaves the weights ``init`` and ``final`` and, for ``rewind=epoch``, those of that epoch.

    The rewind does not enter the key: networks that differ only in what is remembered of their
    training are the same network.
    """
    wanted = lab.parts.start_epoch if lab.parts.rewind.source == "epoch" else None
    memory = f"epoch_{wanted}"

    def compute(work: Work) -> dict[str, Any]:
        facts: dict[str, Any] = {}
        if lab.parts.corrupts_dense and lab.data.effect is not None:
            facts["effect"] = happened(lab.parts.check, lab.data.effect)
        network = lab.initial_network()
        save_tensors(work.directory, "init", network.state_dict())
        checkpoints = lab.checkpoints(work)

        def remember(epochs: int) -> None:
            if epochs == wanted:
                checkpoints.keep(memory, network.state_dict())

        facts |= lab.train(network, _splits(lab), "train_dense", checkpoints, on_weights=remember)
        # None where a run with another rewind had passed the epoch: then weights_at goes there.
        if remembered := checkpoints.kept(memory):
            save_tensors(work.directory, memory, remembered)
        save_tensors(work.directory, "final", network.state_dict())
        return facts

    return Trained(lab.fetch("train_dense", "train_dense", settings(lab), compute))


def weights_at(lab: Lab, dense: Entry, epoch: int) -> dict[str, Tensor]:
    """The dense network's weights after ``epoch`` epochs, trained up to there once more if need be.

    A dense network stored by a run with another rewind does not remember this epoch; the same
    seed leads there again (bit for bit on a CPU).
    """
    if dense.has(f"epoch_{epoch}"):
        return dense.tensors(f"epoch_{epoch}")

    def compute(work: Work) -> dict[str, Any]:
        network = lab.initial_network()
        checkpoints = lab.checkpoints(work)
        facts = lab.train(network, _splits(lab), "snapshot", checkpoints, end_epoch=epoch)
        save_tensors(work.directory, f"epoch_{epoch}", network.state_dict())
        return facts

    key = {"dense": dense.key, "epoch": epoch}
    return lab.fetch("snapshot", "snapshot", key, compute).tensors(f"epoch_{epoch}")


def _splits(lab: Lab) -> Splits:
    return lab.data.seen_by_pruning if lab.parts.corrupts_dense else lab.data.clean


def settings(lab: Lab) -> dict[str, Any]:
    """All that determines the dense network."""
    ids = lab.parts.ids
    return {
        "arch": ids.arch,
        "seed": lab.seed,
        "dataset": ids.dataset,
        "training": ids.recipe,
        "check": ids.check if lab.parts.corrupts_dense else None,
    }
