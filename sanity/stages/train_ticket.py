"""Stage 4: train the ticket, on clean data."""

import functools
from typing import Any

from sanity.experiment.experiment import Experiment
from sanity.pruning import masks
from sanity.pruning.footprint import footprint
from sanity.pruning.ticket import compress, expand
from sanity.stages.context import Context
from sanity.stages.rounds import Round
from sanity.stages.stage import TRAIN_TICKET, Inputs, Stage
from sanity.store import Work, save_tensors
from sanity.training.schedule import Schedule


def stage(experiment: Experiment, round_: Round, start: Stage, mask: Stage) -> Stage:
    """Leaves the ticket: its ``final`` weights, compressed by the mask that training ends with.

    The rounds of iterative pruning before the last belong to the search for the mask: they see
    what pruning sees, corrupted data included.
    """
    shuffle = round_.number if experiment.rewind.source == "final" else 0
    searching = not round_.last and experiment.check.target == "data"
    name = round_.name(TRAIN_TICKET)
    settings = {
        "start": start.key,
        "mask": mask.key,
        "seed": experiment.settings.seed,
        "dataset": experiment.ids.dataset,
        "training": experiment.ids.recipe,
        "start_epoch": experiment.start_epoch,
        "shuffle": shuffle,
        "check": experiment.ids.check if searching else None,
    }
    compute = functools.partial(_compute, name=name, shuffle=shuffle, searching=searching)
    inputs = {"start": start, "mask": mask}  # which the start has too: a dead one is not trained
    return Stage(name, TRAIN_TICKET, settings, inputs, compute, perturbed=searching)


def _compute(
    context: Context, inputs: Inputs, work: Work, *, name: str, shuffle: int, searching: bool
) -> dict[str, Any]:
    experiment, data = context.experiment, context.data
    splits = data.seen_by_pruning if searching else data.clean
    weights, mask = expand(inputs["start"].tensors("weights"))
    network = context.initial_network()
    network.load_state_dict(weights)
    masks.apply(network, mask)  # also where a weight has a second name
    start_accuracy = context.accuracy(network, splits.test)
    schedule = Schedule(context.seed, experiment.start_epoch, shuffle=shuffle)
    steps = splits.train.steps(experiment.recipe.batch_size)
    epochs = schedule.end_of(experiment.recipe) - schedule.start
    engine = context.engine(network, mask, epochs * steps)
    update = experiment.pruner.mask_update()
    facts = context.train(name, engine, splits, schedule, context.checkpoints(work), update=update)
    save_tensors(work.directory, "final", compress(engine.network.state_dict(), engine.mask))
    if update is not None:  # otherwise the mask's own stage has noted it
        facts["footprint"] = footprint(
            experiment.factory, experiment.blueprint, engine.mask, experiment.input_shape
        )
    return facts | {"start_test_accuracy": start_accuracy}
