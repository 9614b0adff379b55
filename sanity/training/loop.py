"""Train a network, dense or masked; the whole algorithm in reading order."""

import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sanity import console
from sanity.errors import TrainingError
from sanity.layers import prunable_weights
from sanity.training.images import Batch, Images
from sanity.training.recipe import Recipe

EVALUATION_BATCH = 500


@dataclass(frozen=True)
class Splits:
    """What a training run sees: images to learn from, to select by (if any) and to be judged on."""

    train: Images
    validation: Images | None
    test: Images


@dataclass(frozen=True)
class Epoch:
    """The figures of one epoch; accuracies in percent, losses in nats an image."""

    epoch: int
    lr: float
    train_loss: float
    train_accuracy: float
    test_loss: float
    test_accuracy: float
    validation_loss: float | None
    validation_accuracy: float | None
    images_per_second: float
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """The figures as a line of ``metrics.jsonl``; validation only where there is any."""
        return {name: value for name, value in asdict(self).items() if value is not None}


OnEpoch = Callable[[Epoch], None]


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
) -> list[Epoch]:
    """Train ``network`` in place from ``start_epoch`` up to ``end_epoch`` of the schedule.

    ``network`` lies on the device of ``splits``. After every step the weights that ``mask``
    prunes are exactly 0. ``course`` is 0 but for networks that go on from trained weights, which
    should not see the same batches in the same order again. Raises TrainingError when the loss
    of an epoch is not a number.
    """
    end_epoch = recipe.epochs if end_epoch is None else end_epoch
    stepper = Stepper(network, recipe, mask or {})
    steps = splits.train.steps(recipe.batch_size)
    history = []
    with console.bar(label, (end_epoch - start_epoch) * steps) as bar:
        for epoch in range(start_epoch, end_epoch):
            start = time.perf_counter()
            batches = splits.train.epoch(seed, epoch, recipe.batch_size, course)
            loss, accuracy = train_epoch(stepper, batches, steps, epoch, bar)
            rate = len(splits.train) / (time.perf_counter() - start)
            result = Epoch(
                epoch=epoch,
                lr=recipe.lr_at(epoch),
                train_loss=loss,
                train_accuracy=accuracy,
                **_judge(network, splits, recipe, epoch),
                images_per_second=rate,
                seconds=time.perf_counter() - start,
            )
            bar.show(f"epoch {epoch + 1}/{end_epoch}  test {result.test_accuracy:.2f}%")
            on_epoch(result)
            history.append(result)
    return history


class Stepper:
    """A network, its optimiser and its mask: one call is one step of training."""

    def __init__(self, network: nn.Module, recipe: Recipe, mask: Mapping[str, Tensor]) -> None:
        self.network, self.recipe = network, recipe
        self.optimizer = _optimizer(network, recipe)
        masked = [(w, mask[name]) for name, w in prunable_weights(network).items() if name in mask]
        self._weights = [weight.detach() for weight, _ in masked]
        self._keep = [keep.to(weight.device, weight.dtype) for weight, keep in masked]
        self._prune()

    def __call__(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Learn from one batch; its mean loss and its number of hits, both still on the device."""
        with autocast(self.recipe, x.device):
            logits = self.network(x)
        loss = F.cross_entropy(logits.float(), y)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        self._prune()
        return loss.detach(), (logits.argmax(1) == y).sum()

    def _prune(self) -> None:
        """Zero what is pruned, in all layers by one fused operation."""
        if self._weights:
            torch._foreach_mul_(self._weights, self._keep)


def train_epoch(
    stepper: Stepper, batches: Iterable[Batch], steps: int, epoch: int, bar: console.Bar
) -> tuple[float, float]:
    """One pass over the ``steps`` training batches: its mean loss and its accuracy (percent).

    Nothing is read back from the device before the end: ``.item()`` would wait for every step.
    """
    recipe = stepper.recipe
    stepper.network.train()
    for group in stepper.optimizer.param_groups:
        group["lr"] = recipe.lr_at(epoch)
    device = next(stepper.network.parameters()).device
    losses = torch.zeros(steps, device=device)
    correct = torch.zeros((), dtype=torch.int64, device=device)
    sizes = []
    for step, (x, y) in enumerate(batches):
        losses[step], hits = stepper(x, y)
        correct += hits
        sizes.append(len(y))
        bar.advance(len(y))
    _refuse_nan(losses, epoch, recipe)
    loss = float(losses.cpu().double() @ torch.tensor(sizes, dtype=torch.float64))
    return loss / sum(sizes), 100 * int(correct) / sum(sizes)


@torch.inference_mode()
def evaluate(network: nn.Module, images: Images, recipe: Recipe) -> tuple[float, float]:
    """Mean loss and accuracy (percent) of ``network`` on all ``images``."""
    network.eval()
    losses, correct = [], torch.zeros((), dtype=torch.int64, device=images.device)
    for x, y in images.plain(EVALUATION_BATCH):
        with autocast(recipe, images.device):
            logits = network(x)
        losses.append(F.cross_entropy(logits.float(), y, reduction="sum"))
        correct += (logits.argmax(1) == y).sum()
    loss = float(torch.stack(losses).cpu().double().sum())
    return loss / len(images), 100 * int(correct) / len(images)


def _judge(network: nn.Module, splits: Splits, recipe: Recipe, epoch: int) -> dict[str, Any]:
    """Loss and accuracy on the test set and, where there is one, the validation set."""
    test_loss, test_accuracy = evaluate(network, splits.test, recipe)
    if not math.isfinite(test_loss):
        raise TrainingError(
            f"the test loss became {test_loss} after epoch {epoch}, learning rate "
            f"{recipe.lr_at(epoch):g}: lower training.lr"
        )
    validation: tuple[float | None, float | None] = (None, None)
    if splits.validation is not None:
        validation = evaluate(network, splits.validation, recipe)
    return {
        "test_loss": test_loss,
        "test_accuracy": test_accuracy,
        "validation_loss": validation[0],
        "validation_accuracy": validation[1],
    }


def _optimizer(network: nn.Module, recipe: Recipe) -> torch.optim.SGD:
    """SGD as in the paper: weight decay on every parameter, no dampening, one fused step."""
    device = next(network.parameters()).device.type
    return torch.optim.SGD(
        network.parameters(),
        lr=recipe.lr,
        momentum=recipe.momentum,
        nesterov=recipe.nesterov,
        weight_decay=recipe.weight_decay,
        fused=device in ("cpu", "cuda"),
    )


def autocast(recipe: Recipe, device: torch.device) -> torch.autocast:
    """The precision that the recipe asks for, where a forward pass is made."""
    return torch.autocast(device.type, torch.bfloat16, enabled=recipe.precision == "bf16")


def _refuse_nan(losses: Tensor, epoch: int, recipe: Recipe) -> None:
    bad = (~losses.isfinite()).nonzero()
    if len(bad):
        step = int(bad[0])
        raise TrainingError(
            f"the loss became {float(losses[step])} at epoch {epoch}, step {step}, learning rate "
            f"{recipe.lr_at(epoch):g}: lower training.lr"
        )
