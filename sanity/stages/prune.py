"""Stage 2: the mask; checks of scores and masks act here."""

import logging
from pathlib import Path
from typing import Any

from sanity import console, masks
from sanity.checks.base import Effect, MaskCheck, ScoreCheck
from sanity.connectivity import is_dead
from sanity.masks import Mask
from sanity.parts import Method
from sanity.pruners.base import Scores
from sanity.pruners.scoring import deal
from sanity.pruners.selection import find_mask
from sanity.stages.lab import Lab, happened
from sanity.stages.network import Round, Trained, mask_of
from sanity.store import Entry, save_tensors
from sanity.streams import generator
from sanity.training.images import Batch
from sanity.training.loop import evaluate

log = logging.getLogger(__name__)

ONCE = Round(1, 1)


def prune(
    lab: Lab, trained: Trained | None, previous: Entry | None, donor: Entry | None, turn: Round
) -> Entry:
    """Leaves the ``mask``, bool tensors by layer name.

    ``trained`` is the network to prune (None = as initialised), ``previous`` the mask it was
    trained under, and ``donor`` the mask whose layer counts ``ratio=like`` copies.
    """
    return _prune(lab, lab.parts.method, trained, previous, donor, turn, turn.name("prune"))


def prune_donor(lab: Lab, trained: Trained | None) -> Entry | None:
    """The mask of the pruner that ``ratio=like`` names, where there is one.

    Checks of scores and mask are about the ticket, not about the ratio it borrows.
    """
    if lab.parts.donor is None:
        return None
    return _prune(lab, lab.parts.donor, trained, None, None, ONCE, "prune_donor")


def _prune(
    lab: Lab,
    method: Method,
    trained: Trained | None,
    previous: Entry | None,
    donor: Entry | None,
    turn: Round,
    name: str,
) -> Entry:
    parts, pruner = lab.parts, method.pruner
    trained = trained if pruner.needs_trained_weights else None
    borrowed = method is parts.donor
    check = None if borrowed else _acting_check(lab, turn)
    corrupts = parts.check.target == "data"

    def compute(directory: Path) -> dict[str, Any]:
        network = lab.initial_network()
        if trained is not None:
            network.load_state_dict(trained.weights())
        effects = [lab.data.effect] if pruner.needs_data else []
        perturb = _Perturbation(check, lab.seed, turn) if isinstance(check, ScoreCheck) else None
        lent = {} if donor is None else masks.kept(mask_of(donor))
        with console.bar(name, pruner.iterations) as bar:
            mask = find_mask(
                pruner,
                network,
                parts.blueprint,
                method.allocate(parts.blueprint, lent),
                input_shape=parts.input_shape,
                generator=generator(lab.seed, *turn.stream("mask")),
                batches=_batches(lab, method) if pruner.needs_data else [],
                start=None if previous is None else mask_of(previous),
                progress=turn.progress,
                perturb=perturb,
                on_step=lambda done, steps: bar.advance(),
            )
        effects += [perturb.effect] if perturb else []
        if isinstance(check, MaskCheck):
            mask, effect = check.perturb(mask, generator(lab.seed, *turn.stream("check")))
            effects.append(effect)
        save_tensors(directory, "mask", mask)
        facts = _facts(lab, mask)
        if trained is not None:
            masks.apply(network, mask)
            _, accuracy = evaluate(network, lab.data.clean.test, parts.recipe)
            facts["pruned_test_accuracy"] = accuracy
        found = [effect for effect in effects if effect is not None]
        return facts | ({"effect": happened(parts.check, found[0])} if found else {})

    settings = {
        "arch": parts.ids.arch,
        "input_shape": list(parts.input_shape),
        "seed": lab.seed,
        **method.identity,
        "weights": None if trained is None else trained.key,
        "dataset": parts.ids.dataset if pruner.needs_data else None,
        "data_check": parts.ids.check if pruner.needs_data and corrupts else None,
        "donor": None if donor is None else donor.key,
        "previous": None if previous is None else previous.key,
        "progress": list(turn.progress),
        "check": None if check is None else parts.ids.check,
    }
    entry = lab.fetch("prune", name, settings, compute)
    if not borrowed:
        _warn(entry)
    return entry


class _Perturbation:
    """A check of scores, applied at every scoring; remembers the largest effect it had."""

    def __init__(self, check: ScoreCheck, seed: int, turn: Round) -> None:
        self._check, self._generator = check, generator(seed, *turn.stream("check"))
        self.effect: Effect | None = None

    def __call__(self, scores: Scores) -> Scores:
        scores, effect = self._check.perturb(scores, self._generator)
        if self.effect is None or effect.changed > self.effect.changed:
            self.effect = effect
        return scores


def _acting_check(lab: Lab, turn: Round) -> ScoreCheck | MaskCheck | None:
    """The check that acts in this round: scores in every one, the mask in the last."""
    check = lab.parts.check
    if isinstance(check, ScoreCheck) or (isinstance(check, MaskCheck) and turn.last):
        return check
    return None


def _batches(lab: Lab, method: Method) -> list[Batch]:
    """Class-balanced, augmented batches of the images that pruning sees."""
    images, pruner = lab.data.seen_by_pruning.train, method.pruner
    num_classes = lab.parts.dataset.num_classes
    assert num_classes is not None, "resolved when the parts were built"
    random = generator(lab.seed, "scoring")
    count = pruner.scoring_batches(lab.parts.blueprint, num_classes)
    hands = deal(images.labels.cpu(), num_classes, pruner.samples_per_class, count, random)
    return [images.augmented(hand, random) for hand in hands]


def _facts(lab: Lab, mask: Mask) -> dict[str, Any]:
    """Whether the mask leaves a network to train."""
    return {
        "empty": [name for name, count in masks.kept(mask).items() if count == 0],
        "dead": is_dead(lab.parts.factory, mask, lab.parts.input_shape),
    }


def _warn(entry: Entry) -> None:
    if entry.facts["dead"]:
        log.warning("the ticket is dead: no path of kept weights leads from input to output")
    elif entry.facts["empty"]:
        log.warning("layers that keep nothing: %s", ", ".join(entry.facts["empty"]))
