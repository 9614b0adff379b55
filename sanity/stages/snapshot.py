"""The dense network once more, up to the epoch of a rewind that its own training did not keep."""

import functools
from typing import Any

from torch import Tensor

from sanity.stages.context import Context
from sanity.stages.execute import execute
from sanity.stages.stage import SNAPSHOT, Inputs, Stage
from sanity.stages.train_dense import engine_of, images_of
from sanity.store import Entry, Work, save_tensors
from sanity.training.schedule import Schedule


def weights_at(context: Context, dense: Entry, epoch: int) -> dict[str, Tensor]:
    """The dense network's weights after ``epoch`` epochs, trained up to there once more if need be.

    A dense network stored by a run with another rewind does not remember this epoch; the same
    seed leads there again (bit for bit on a CPU). Only the store knows, so this stage is in no
    chain.
    """
    name = f"epoch_{epoch}"
    if dense.has(name):
        return dense.tensors(name)
    settings = {"dense": dense.key, "epoch": epoch}
    compute = functools.partial(_compute, epoch=epoch)
    return execute(Stage(SNAPSHOT, SNAPSHOT, settings, {}, compute), context).tensors(name)


def _compute(context: Context, inputs: Inputs, work: Work, *, epoch: int) -> dict[str, Any]:
    del inputs  # the seed leads there
    network = context.initial_network()
    facts = context.train(
        SNAPSHOT,
        engine_of(context, network),
        images_of(context),
        Schedule(context.seed, end=epoch),
        context.checkpoints(work),
    )
    save_tensors(work.directory, f"epoch_{epoch}", network.state_dict())
    return facts
