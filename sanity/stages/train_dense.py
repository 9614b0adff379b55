"""Stage 1: train the dense network, for pruners and rewinds that need trained weights."""

from typing import Any

from torch import nn

from sanity.experiment.experiment import Experiment
from sanity.pruning import masks
from sanity.pruning.footprint import footprint
from sanity.stages.context import Context, effect_of
from sanity.stages.stage import TRAIN_DENSE, Inputs, Stage
from sanity.store import Work, save_tensors
from sanity.training.engines import Engine
from sanity.training.loop import Splits
from sanity.training.schedule import Schedule


def stage(experiment: Experiment) -> Stage:
    """Leaves the weights ``init`` and ``final`` and, for ``rewind=epoch``, those of that epoch.

    The rewind does not enter the key: networks that differ only in what is remembered of their
    training are the same network.
    """
    settings = {
        "arch": experiment.ids.arch,
        "seed": experiment.settings.seed,
        "dataset": experiment.ids.dataset,
        "training": experiment.ids.recipe,
        "check": experiment.ids.check if experiment.corrupts_dense else None,
    }
    return Stage(
        TRAIN_DENSE, TRAIN_DENSE, settings, {}, _compute, perturbed=experiment.corrupts_dense
    )


def _compute(context: Context, inputs: Inputs, work: Work) -> dict[str, Any]:
    del inputs  # it has none
    experiment, data = context.experiment, context.data
    wanted = experiment.start_epoch if experiment.rewind.source == "epoch" else None
    memory = f"epoch_{wanted}"
    facts: dict[str, Any] = {}
    if experiment.corrupts_dense and data.effect is not None:
        facts["effect"] = effect_of(experiment.check, data.effect)
    network = context.initial_network()
    save_tensors(work.directory, "init", network.state_dict())
    checkpoints = context.checkpoints(work)

    def remember(epochs: int) -> None:
        if epochs == wanted:
            checkpoints.keep(memory, network.state_dict())

    engine, schedule = engine_of(context, network), Schedule(context.seed)
    facts |= context.train(TRAIN_DENSE, engine, images_of(context), schedule, checkpoints, remember)
    # None where a run with another rewind had passed the epoch: then a snapshot goes there.
    if remembered := checkpoints.kept(memory):
        save_tensors(work.directory, memory, remembered)
    save_tensors(work.directory, "final", network.state_dict())
    whole = masks.full(experiment.blueprint)
    facts["footprint"] = footprint(
        experiment.factory, experiment.blueprint, whole, experiment.input_shape
    )
    return facts


def engine_of(context: Context, network: nn.Module) -> Engine:
    """What trains the dense network: the same where a training is to stop earlier than that."""
    recipe = context.experiment.recipe
    steps = images_of(context).train.steps(recipe.batch_size)
    return context.engine(network, steps=recipe.epochs * steps)


def images_of(context: Context) -> Splits:
    """What the dense network is trained on: corrupted images where the check reaches it."""
    data = context.data
    return data.seen_by_pruning if context.experiment.corrupts_dense else data.clean
