"""Train a network, dense or masked; the whole algorithm in reading order."""

import contextlib
import functools
import logging
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from torch import Tensor

from sanity.core import console, signals
from sanity.core.errors import TrainingError
from sanity.core.streams import generator, reseed, seeded, stream
from sanity.training.checkpoint import Checkpoints
from sanity.training.engines.base import Engine
from sanity.training.evaluation import Pause, evaluate
from sanity.training.images import Batch, Images
from sanity.training.mask_update import MaskUpdate, Moment, refuse_misfit
from sanity.training.progress import Epoch, Progress
from sanity.training.recipe import Recipe
from sanity.training.schedule import Schedule

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Splits:
    """What a training run sees: images to learn from, to select by (if any) and to be judged on."""

    train: Images
    validation: Images | None
    test: Images


@dataclass(frozen=True)
class Watcher:
    """Who is told of a training called ``label``, once for each epoch.

    ``on_epoch`` gets the figures of all epochs, also of those before a checkpoint it goes on from;
    ``on_weights`` the number of the finished ones, only when the network is there.
    """

    label: str = "train"
    on_epoch: Callable[[Epoch], None] = lambda epoch: None
    on_weights: Callable[[int], None] = lambda epochs: None


@dataclass(frozen=True)
class Training:
    """A training that is ready to begin: of the ``engine``'s network, in place.

    The network lies on the device of ``splits``. It goes on from ``checkpoints`` as if it had
    never stopped; ``update`` moves the mask on the way. ``draws``: the network uses chance in its
    forward pass (dropout), which every step gets from a stream of its own.
    """

    engine: Engine
    splits: Splits
    schedule: Schedule
    checkpoints: Checkpoints | None = None
    watcher: Watcher = field(default_factory=Watcher)
    update: MaskUpdate | None = None
    draws: bool = False


def train(training: Training) -> list[Epoch]:
    """The figures of every epoch.

    Raises TrainingError where a loss is not a number, or pruned weights have come back.
    """
    engine, splits, schedule = training.engine, training.splits, training.schedule
    checkpoints, watcher, update = training.checkpoints, training.watcher, training.update
    recipe, end = engine.recipe, schedule.end_of(engine.recipe)
    steps = splits.train.steps(recipe.batch_size)
    progress = Progress(schedule.start, steps, splits.train.device)
    _resume(progress, engine, checkpoints, watcher)
    total = (end - schedule.start) * steps
    own_chance = seeded(0) if training.draws else contextlib.nullcontext()
    with (
        signals.hold() as held,
        own_chance,
        console.bar(watcher.label, total, progress.done) as bar,
    ):
        pause = functools.partial(_pause, held, checkpoints, progress, engine)

        def draw(what: int | str) -> None:
            if training.draws:
                reseed(stream(schedule.seed, "network", progress.epoch, what))

        def after_step() -> None:
            if update is not None and update.is_due(progress.done, total):
                _move(update, engine, progress, total, schedule)
            pause()

        for number in range(progress.epoch, end):
            bar.enter(f"epoch {number + 1}/{end}")
            batches = splits.train.epoch(
                schedule.seed, number, recipe.batch_size, schedule.shuffle, progress.step
            )
            train_epoch(engine, batches, progress, bar, draw, after_step)
            _refuse_drift(engine, progress.epoch)
            draw("evaluation")
            result = _figures(engine, splits, progress, pause)
            progress.finish(result)
            bar.show(f"epoch {number + 1}/{end}  test {result.test_accuracy:.2f}%")
            watcher.on_epoch(result)
            watcher.on_weights(number + 1)
            pause()
    return progress.history


def train_epoch(
    engine: Engine,
    batches: Iterable[Batch],
    progress: Progress,
    bar: console.Bar,
    before_step: Callable[[int], None],
    after_step: Callable[[], None],
) -> None:
    """One pass over the training ``batches`` that are left of the epoch of ``progress``.

    Nothing is read back from the device before the end: ``.item()`` would wait for every step.
    """
    engine.begin(engine.recipe.lr_at(progress.epoch))
    for x, y in batches:
        before_step(progress.step)
        loss, hits = engine.step(x, y)
        progress.add(loss, hits, len(y))
        bar.advance(len(y))
        after_step()
    _refuse_nan(progress.losses, progress.epoch, engine.recipe)


def _resume(
    progress: Progress, engine: Engine, checkpoints: Checkpoints | None, watcher: Watcher
) -> None:
    """Go on from the last checkpoint, if there is one; its epochs are told once more."""
    state = checkpoints.load(engine.network) if checkpoints else None
    if state is not None:
        progress.restore(state, engine)
        log.info("%s goes on at epoch %d, step %d", watcher.label, progress.epoch, progress.step)
    for epoch in progress.history:
        watcher.on_epoch(epoch)


def _pause(
    held: signals.Held, checkpoints: Checkpoints | None, progress: Progress, engine: Engine
) -> None:
    """Between two steps: save the state if it is time, and let a signal act that has waited."""
    if checkpoints and (held.pending or checkpoints.due()):
        checkpoints.save(progress.state(engine))
    held.deliver()


def _move(
    update: MaskUpdate, engine: Engine, progress: Progress, steps: int, schedule: Schedule
) -> None:
    """Let a method put another mask in the place of the one there is.

    Layers come in the network's order, by which it may draw: files hold them in any.
    """
    weights = {name: w.detach() for name, w in engine.masked().items()}
    moment = Moment(
        step=progress.done,
        steps=steps,
        lr=engine.recipe.lr_at(progress.epoch),
        mask={name: engine.mask[name].clone() for name in weights},
        weights=weights,
        gradients=engine.gradients,
        generator=generator(schedule.seed, "mask_update", progress.done),
    )
    mask = update.update(moment)
    refuse_misfit(engine.mask, mask)
    # A copy on the CPU, wherever it was made and whatever is done with it afterwards.
    engine.move({name: keep.detach().cpu().clone() for name, keep in mask.items()})


def _figures(engine: Engine, splits: Splits, progress: Progress, pause: Pause) -> Epoch:
    """The figures of the epoch that has just been trained."""
    network, recipe = engine.network, engine.recipe
    rate = len(splits.train) / progress.seconds
    train_loss, train_accuracy = progress.mean()
    test_loss, test_accuracy = evaluate(network, splits.test, recipe, pause)
    validation: tuple[float | None, float | None] = (None, None)
    if splits.validation is not None:
        validation = evaluate(network, splits.validation, recipe, pause)
    for name, loss in (("test", test_loss), ("validation", validation[0])):
        if loss is not None and not math.isfinite(loss):
            raise TrainingError(
                f"the {name} loss became {loss} after epoch {progress.epoch}, step "
                f"{progress.step}, learning rate {recipe.lr_at(progress.epoch):g}: lower "
                "training.lr"
            )
    return Epoch(
        epoch=progress.epoch,
        lr=recipe.lr_at(progress.epoch),
        train_loss=train_loss,
        train_accuracy=train_accuracy,
        test_loss=test_loss,
        test_accuracy=test_accuracy,
        validation_loss=validation[0],
        validation_accuracy=validation[1],
        images_per_second=rate,
        seconds=progress.seconds,
    )


def _refuse_drift(engine: Engine, epoch: int) -> None:
    """A ticket whose pruned weights come back is another, denser network than it says."""
    if drift := engine.drift():
        layer, count = next(iter(drift.items()))
        raise TrainingError(
            f"the mask drifted: {count} pruned weights of layer {layer} are not 0 after epoch "
            f"{epoch}; the network (arch) must leave its weights to the optimiser"
        )


def _refuse_nan(losses: Tensor, epoch: int, recipe: Recipe) -> None:
    bad = (~losses.isfinite()).nonzero()
    if len(bad):
        step = int(bad[0])
        raise TrainingError(
            f"the loss became {float(losses[step])} at epoch {epoch}, step {step}, learning rate "
            f"{recipe.lr_at(epoch):g}: lower training.lr"
        )
