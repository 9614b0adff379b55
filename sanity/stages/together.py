"""Stages of several runs executed together, so that their networks can be trained at once."""

from collections.abc import Callable, Sequence

from sanity.stages.context import Context
from sanity.stages.execute import execute
from sanity.stages.stage import Stage
from sanity.store import Entry
from sanity.training.loop import Training, train
from sanity.training.progress import Epoch

Ready = tuple[Stage, Context]
"""A stage, and the context of its run in which the results of its inputs are."""

Outcome = list[Epoch] | Exception
"""The figures of a training's epochs, or why it failed."""

Trainer = Callable[[Sequence[Training]], Sequence[Outcome]]
"""Trains networks, each as if it were alone: how, and whether at once, is its own business."""


def in_turn(trainings: Sequence[Training]) -> list[Outcome]:
    """One training after another."""
    outcomes: list[Outcome] = []
    for training in trainings:
        try:
            outcomes.append(train(training))
        except Exception as error:
            outcomes.append(error)
    return outcomes


def execute_together(ready: Sequence[Ready], trainer: Trainer = in_turn) -> list[Entry]:
    """The results of stages of different runs and keys, in order; ``trainer`` gets all trainings.

    Where one fails the others are stored, and then its error is raised.
    """
    found: dict[str, Entry | Exception] = {}
    trainings: list[Training] = []
    outcomes: list[Outcome] = []
    # In one order everywhere, so that no two processes wait for each other's locks.
    waiting = sorted(ready, key=lambda one: one[0].key, reverse=True)

    def begin() -> None:
        """Bring each that waits to its training, inside of the one before."""
        while waiting:
            stage, context = waiting.pop()
            context.trainer = hand_over
            try:
                found[stage.key] = execute(stage, context)
            except Exception as error:
                found[stage.key] = error
            finally:
                context.trainer = train

    def hand_over(training: Training) -> list[Epoch]:
        number = len(trainings)
        trainings.append(training)
        begin()
        if number == len(trainings) - 1:  # the last to come trains them all
            outcomes.extend(trainer(trainings))
        outcome = outcomes[number]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    begin()
    for result in found.values():
        if isinstance(result, Exception):
            raise result
    return [entry for stage, _ in ready if isinstance(entry := found[stage.key], Entry)]
