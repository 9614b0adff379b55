"""Stage 2: the mask; checks of scores and masks act here."""

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from torch import nn

from sanity import console, masks, remarks
from sanity.checks.base import Effect, MaskCheck, ScoreCheck
from sanity.components import option_name
from sanity.connectivity import is_dead
from sanity.errors import CheckError, TrainingError
from sanity.masks import Mask
from sanity.parts import Method
from sanity.pruners.base import Scores
from sanity.pruners.scoring import deal
from sanity.pruners.selection import Ties, find_mask
from sanity.ratios.base import Allocation
from sanity.stages.lab import Lab, happened
from sanity.stages.network import Round, Trained, mask_of
from sanity.store import Entry, Work, save_tensors
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
    check = _acting_check(lab, turn)
    search = _Search(lab, lab.parts.method, trained, previous, donor, turn, check)
    entry = lab.fetch("prune", turn.name("prune"), search.settings(), search.compute)
    _warn(entry)
    return entry


def prune_donor(lab: Lab, trained: Trained | None) -> Entry | None:
    """The mask of the pruner that ``ratio=like`` names, where there is one.

    Checks of scores and mask are about the ticket, not about the ratio it borrows.
    """
    if lab.parts.donor is None:
        return None
    search = _Search(lab, lab.parts.donor, trained, None, None, ONCE, check=None)
    entry = lab.fetch("prune", "prune_donor", search.settings(), search.compute)
    if ties := entry.facts.get("ties"):  # masks stored by earlier versions do not tell
        remark = remarks.of_ties(ties, sum(masks.kept(mask_of(entry)).values()))
        if remark:
            log.warning("ratio.of: %s", remark)
    return entry


@dataclass(frozen=True)
class _Search:
    """One search for a mask: what determines it, and how it is made."""

    lab: Lab
    method: Method
    trained: Trained | None
    previous: Entry | None
    donor: Entry | None
    turn: Round
    check: ScoreCheck | MaskCheck | None

    @property
    def scored(self) -> Trained | None:
        """The trained network whose weights are scored; None for pruners at initialisation."""
        return self.trained if self.method.pruner.needs_trained_weights else None

    def settings(self) -> dict[str, Any]:
        """All that determines the mask."""
        parts, reads = self.lab.parts, self.method.pruner.needs_data
        corrupted = reads and parts.check.target == "data"
        return {
            "arch": parts.ids.arch,
            "input_shape": list(parts.input_shape),
            "seed": self.lab.seed,
            **self.method.identity,
            "weights": None if self.scored is None else self.scored.key,
            "dataset": parts.ids.dataset if reads else None,
            "data_check": parts.ids.check if corrupted else None,
            "donor": None if self.donor is None else self.donor.key,
            "previous": None if self.previous is None else self.previous.key,
            "progress": list(self.turn.progress),
            "check": None if self.check is None else parts.ids.check,
        }

    def compute(self, work: Work) -> dict[str, Any]:
        """Find the mask, let the check perturb it, and say what is left."""
        lab, check = self.lab, self.check
        network = lab.initial_network()
        if self.scored is not None:
            network.load_state_dict(self.scored.weights())
        effects = [lab.data.effect] if self.method.pruner.needs_data else []
        perturb = None
        if isinstance(check, ScoreCheck):
            perturb = _Perturbation(check, lab.seed, self.turn)
        ties: list[Ties] = []
        mask = self._find(network, perturb, ties.append)
        if perturb is not None:
            effects.append(perturb.effect)
        if isinstance(check, MaskCheck):
            chance = generator(lab.seed, *self.turn.stream("check"))
            mask, effect = check.perturb(mask, chance)
            effects.append(effect)
        self._refuse_wrong_count(mask)
        save_tensors(work.directory, "mask", mask)
        facts = _facts(lab, mask, ties[0])
        if self.scored is not None:
            masks.apply(network, mask)
            _, accuracy = evaluate(network, lab.data.clean.test, lab.parts.recipe)
            facts["pruned_test_accuracy"] = accuracy
        found = [effect for effect in effects if effect is not None]
        return facts | ({"effect": happened(lab.parts.check, found[0])} if found else {})

    def _refuse_wrong_count(self, mask: Mask) -> None:
        """A mask of another size than its ratio allocates is compared with the wrong tickets."""
        blueprint = self.lab.parts.blueprint
        wanted = self._allocation().at(self.turn.progress[1], blueprint).total
        kept = sum(masks.kept(mask).values())
        if kept == wanted:
            return
        if isinstance(self.check, MaskCheck):
            name = option_name(self.check)
            raise CheckError(
                f"sanity_check={name}: the mask it gives keeps {kept} weights instead of {wanted}; "
                "a check must not change how many there are"
            )
        raise TrainingError(f"the mask keeps {kept} weights instead of {wanted}")

    def _allocation(self) -> Allocation:
        lent = {} if self.donor is None else masks.kept(mask_of(self.donor))
        return self.method.allocate(self.lab.parts.blueprint, lent)

    def _find(
        self,
        network: nn.Module,
        perturb: "_Perturbation | None",
        on_ties: Callable[[Ties], None],
    ) -> Mask:
        parts, pruner = self.lab.parts, self.method.pruner
        with console.bar("prune", pruner.iterations) as bar:
            return find_mask(
                pruner,
                network,
                parts.blueprint,
                self._allocation(),
                input_shape=parts.input_shape,
                generator=generator(self.lab.seed, *self.turn.stream("mask")),
                batches=_Watched(self._batches(), bar),
                start=None if self.previous is None else mask_of(self.previous),
                progress=self.turn.progress,
                perturb=perturb,
                on_step=lambda done, steps: bar.advance(),
                on_ties=on_ties,
            )

    def _batches(self) -> list[Batch]:
        return _batches(self.lab, self.method) if self.method.pruner.needs_data else []


class _Watched(list[Batch]):
    """The batches of a scoring, which may take minutes: whoever waits is told at which it is."""

    def __init__(self, batches: Iterable[Batch], bar: console.Bar) -> None:
        super().__init__(batches)
        self._bar = bar

    def __iter__(self) -> Iterator[Batch]:
        for number, batch in enumerate(super().__iter__(), start=1):
            self._bar.within(f"batch {number}/{len(self)}")
            yield batch


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
    labels, name = images.labels.cpu(), lab.data.class_name
    hands = deal(labels, num_classes, pruner.samples_per_class, count, random, name)
    return [images.augmented(hand, random) for hand in hands]


def _facts(lab: Lab, mask: Mask, ties: Ties) -> dict[str, Any]:
    """Which layers the mask empties, whether it leaves a network to train, what order decided."""
    kept = masks.kept(mask)
    return {
        "empty": [name for name, count in kept.items() if count == 0],
        "dead": is_dead(lab.parts.factory, mask, lab.parts.input_shape),
        "ties": {"tied": ties.tied, "arbitrary": min(ties.arbitrary, sum(kept.values()))},
    }


def _warn(entry: Entry) -> None:
    if entry.facts["dead"]:
        log.warning("the ticket is dead: no path of kept weights leads from input to output")
    elif entry.facts["empty"]:
        log.warning("layers that keep nothing: %s", ", ".join(entry.facts["empty"]))
