"""The stages of a run in order, from settings alone: nothing is opened, drawn or computed."""

from sanity.experiment.experiment import Experiment
from sanity.stages import prune, rewind, train_dense, train_ticket
from sanity.stages.rounds import Round
from sanity.stages.stage import Stage


def chain(parts: Experiment) -> tuple[Stage, ...]:
    """All stages that the run goes through, up to ``until``, each after those it needs.

    What its results decide is not in it: a dead ticket ends a run early, and a dense network that
    does not remember the epoch of a rewind is trained up to there once more.
    """
    stages: list[Stage] = []
    until = parts.settings.until

    def then(stage: Stage) -> Stage:
        stages.append(stage)
        return stage

    dense = then(train_dense.stage(parts)) if parts.needs_dense else None
    if until == "train_dense" or not parts.pruner.prunes:
        return tuple(stages)

    trained, mask = dense, None
    donor = then(prune.donor_stage(parts, dense)) if parts.donor else None
    rounds = parts.pruner.rounds(parts.ratio.sparsity)
    for turn in (Round(number, rounds) for number in range(1, rounds + 1)):
        before = mask
        mask = then(prune.stage(parts, turn, trained, before, donor))
        if turn.last and until == "prune":
            break
        start = then(rewind.stage(parts, turn, dense, trained, mask))
        if turn.last and until == "rewind":
            break
        trained = then(train_ticket.stage(parts, turn, start, mask))
    return tuple(stages)
