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
    return [_outcome(training) for training in trainings]


def execute_together(ready: Sequence[Ready], trainer: Trainer = in_turn) -> list[Entry]:
    """The results of stages of different runs and keys, in order; ``trainer`` gets all trainings.

    Where one fails the others are stored, and then its error is raised.
    """
    found: dict[str, Entry | Exception] = {}
    trainings: list[Training] = []
    outcomes: list[Outcome] = []

    def begin(rest: Sequence[Ready]) -> None:
        """Bring each to its training, inside of the one before; then train all."""
        if not rest:
            outcomes.extend(trainer(trainings) if trainings else [])
            return
        (stage, context), *others = rest
        number = len(trainings)

        def hand_over(training: Training) -> list[Epoch]:
            trainings.append(training)
            begin(others)
            outcome = outcomes[number]
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        context.trainer = hand_over
        try:
            found[stage.key] = execute(stage, context)
        except Exception as error:
            found[stage.key] = error
        finally:
            context.trainer = train
        if len(trainings) == number:  # its result was there, or it failed before
            begin(others)

    # In one order everywhere, so that no two processes wait for each other's locks.
    begin(sorted(ready, key=lambda one: one[0].key))
    for result in found.values():
        if isinstance(result, Exception):
            raise result
    return [entry for stage, _ in ready if isinstance(entry := found[stage.key], Entry)]


def _outcome(training: Training) -> Outcome:
    try:
        return train(training)
    except Exception as error:
        return error
