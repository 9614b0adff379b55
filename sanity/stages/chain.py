"""The stages of a run in order, from settings alone: nothing is opened, drawn or computed."""

from sanity.experiment.experiment import Experiment
from sanity.stages import prune, rewind, train_dense, train_ticket
from sanity.stages.rounds import Round
from sanity.stages.stage import Stage


def chain(experiment: Experiment) -> tuple[Stage, ...]:
    """All stages that the run goes through, up to ``until``, each after those it needs.

    What its results decide is not in it: a dead ticket ends a run early, and a dense network that
    does not remember the epoch of a rewind is trained up to there once more.
    """
    stages: list[Stage] = []
    until = experiment.settings.until

    def then(stage: Stage) -> Stage:
        stages.append(stage)
        return stage

    dense = then(train_dense.stage(experiment)) if experiment.needs_dense else None
    if until == "train_dense" or not experiment.pruner.prunes:
        return tuple(stages)

    trained, mask = dense, None
    donor = then(prune.donor_stage(experiment, dense)) if experiment.donor else None
    rounds = experiment.pruner.rounds(experiment.sparsity)
    for round_ in (Round(number, rounds) for number in range(1, rounds + 1)):
        before = mask
        mask = then(prune.stage(experiment, round_, trained, before, donor))
        if round_.last and until == "prune":
            break
        start = then(rewind.stage(experiment, round_, dense, trained, mask))
        if round_.last and until == "rewind":
            break
        trained = then(train_ticket.stage(experiment, round_, start, mask))
    return tuple(stages)
