"""Train a network, dense or masked; the whole algorithm in reading order."""

import functools
import logging
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sanity import console, signals
from sanity.errors import TrainingError
from sanity.training.checkpoint import Checkpoints
from sanity.training.images import Batch, Images
from sanity.training.progress import Epoch, Progress
from sanity.training.recipe import Recipe
from sanity.training.stepper import Stepper, autocast

log = logging.getLogger(__name__)

EVALUATION_BATCH = 500


@dataclass(frozen=True)
class Splits:
    """What a training run sees: images to learn from, to select by (if any) and to be judged on."""

    train: Images
    validation: Images | None
    test: Images


OnEpoch = Callable[[Epoch], None]
Pause = Callable[[], None]


def train(
    network: nn.Module,
    splits: Splits,
    recipe: Recipe,
    *,
    seed: int,
    course: int = 0,
    mask: Mapping[str, Tensor] | None = None,
    start_epoch: int = 0,
    end_epoch: int | None = None,
    label: str = "train",
    on_epoch: OnEpoch = lambda epoch: None,
    on_weights: Callable[[int], None] = lambda epochs: None,
    checkpoints: Checkpoints | None = None,
) -> list[Epoch]:
    """Train ``network`` in place from ``start_epoch`` up to ``end_epoch`` of the schedule.

    ``network`` lies on the device of ``splits``. After every step the weights that ``mask``
    prunes are exactly 0. ``course`` is 0 but for networks that go on from trained weights, which
    should not see the same batches in the same order again. It goes on from ``checkpoints`` as if
    it had never stopped: ``on_epoch`` gets the figures of all epochs, ``on_weights`` the number
    of the finished ones, only when the network is there. TrainingError: a loss is not a number.
    """
    end_epoch = recipe.epochs if end_epoch is None else end_epoch
    stepper = Stepper(network, recipe, mask or {})
    steps = splits.train.steps(recipe.batch_size)
    progress = Progress(start_epoch, steps, splits.train.device)
    _resume(progress, stepper, checkpoints, label, on_epoch)
    total = (end_epoch - start_epoch) * steps
    with signals.hold() as held, console.bar(label, total, progress.done) as bar:
        pause = functools.partial(_pause, held, checkpoints, progress, stepper)
        for number in range(progress.epoch, end_epoch):
            bar.enter(f"epoch {number + 1}/{end_epoch}")
            batches = splits.train.epoch(seed, number, recipe.batch_size, course, progress.step)
            train_epoch(stepper, batches, progress, bar, pause)
            _refuse_drift(stepper, progress.epoch)
            result = _figures(network, splits, recipe, progress, pause)
            progress.finish(result)
            bar.show(f"epoch {number + 1}/{end_epoch}  test {result.test_accuracy:.2f}%")
            on_epoch(result)
            on_weights(number + 1)
            pause()
    return progress.history


def train_epoch(
    stepper: Stepper, batches: Iterable[Batch], progress: Progress, bar: console.Bar, pause: Pause
) -> None:
    """One pass over the training ``batches`` that are left of the epoch of ``progress``.

    Nothing is read back from the device before the end: ``.item()`` would wait for every step.
    """
    stepper.network.train()
    for group in stepper.optimizer.param_groups:
        group["lr"] = stepper.recipe.lr_at(progress.epoch)
    for x, y in batches:
        loss, hits = stepper(x, y)
        progress.add(loss, hits, len(y))
        bar.advance(len(y))
        pause()
    _refuse_nan(progress.losses, progress.epoch, stepper.recipe)


@torch.inference_mode()
def evaluate(
    network: nn.Module, images: Images, recipe: Recipe, pause: Pause = lambda: None
) -> tuple[float, float]:
    """Mean loss and accuracy (percent) of ``network`` on all ``images``."""
    network.eval()
    losses, correct = [], torch.zeros((), dtype=torch.int64, device=images.device)
    for x, y in images.plain(EVALUATION_BATCH):
        with autocast(recipe, images.device):
            logits = network(x)
        losses.append(F.cross_entropy(logits.float(), y, reduction="sum"))
        correct += (logits.argmax(1) == y).sum()
        pause()
    loss = float(torch.stack(losses).cpu().double().sum())
    return loss / len(images), 100 * int(correct) / len(images)


def _resume(
    progress: Progress,
    stepper: Stepper,
    checkpoints: Checkpoints | None,
    label: str,
    on_epoch: OnEpoch,
) -> None:
    """Go on from the last checkpoint, if there is one; its epochs are told once more."""
    state = checkpoints.load(stepper.network) if checkpoints else None
    if state is not None:
        progress.restore(state, stepper)
        log.info("%s goes on at epoch %d, step %d", label, progress.epoch, progress.step)
    for epoch in progress.history:
        on_epoch(epoch)


def _pause(
    held: signals.Held, checkpoints: Checkpoints | None, progress: Progress, stepper: Stepper
) -> None:
    """Between two steps: save the state if it is time, and let a signal act that has waited."""
    if checkpoints and (held.pending or checkpoints.due()):
        checkpoints.save(progress.state(stepper))
    held.deliver()


def _figures(
    network: nn.Module, splits: Splits, recipe: Recipe, progress: Progress, pause: Pause
) -> Epoch:
    """The figures of the epoch that has just been trained."""
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


def _refuse_drift(stepper: Stepper, epoch: int) -> None:
    """A ticket whose pruned weights come back is another, denser network than it says."""
    if drift := stepper.drift():
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
