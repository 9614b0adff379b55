"""Stage 2: the mask; checks of scores and masks act here."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from torch import nn

from sanity.checks.base import Check, Effect, MaskCheck, ScoreCheck
from sanity.core import console
from sanity.core.errors import CheckError, TrainingError
from sanity.core.streams import generator, seeded, stream
from sanity.experiment.experiment import Experiment
from sanity.experiment.instantiate import option_name
from sanity.experiment.method import Method
from sanity.pruners.base import Batches, Pruner, Scores, Scoring
from sanity.pruning import masks, memory
from sanity.pruning.connectivity import is_dead
from sanity.pruning.footprint import footprint
from sanity.pruning.masks import Mask
from sanity.pruning.scoring import deal
from sanity.pruning.selection import Ties, find_mask
from sanity.ratios.base import Allocation
from sanity.record import remarks
from sanity.stages.context import Context, effect_of
from sanity.stages.results import final, mask_of
from sanity.stages.rounds import ONCE, Round
from sanity.stages.stage import DONOR, PRUNE, Inputs, Stage
from sanity.store import Entry, Work, save_tensors
from sanity.training.images import Batch

log = logging.getLogger(__name__)


def stage(
    experiment: Experiment,
    round_: Round,
    trained: Stage | None,
    previous: Stage | None,
    donor: Stage | None,
) -> Stage:
    """Leaves the ``mask``, bool tensors by layer name.

    ``trained`` is the network to prune (None = as initialised), ``previous`` the mask it was
    trained under, and ``donor`` the mask whose layer counts ``ratio=like`` copies.
    """
    check = experiment.check
    # Scores are perturbed in every round, the mask in the last.
    acts = isinstance(check, ScoreCheck) or (isinstance(check, MaskCheck) and round_.last)
    search = _Search(experiment.method, round_, check if acts else None)
    given = {"trained": trained, "previous": previous, "donor": donor}
    return _stage(round_.name(PRUNE), experiment, search, given)


def donor_stage(experiment: Experiment, trained: Stage | None) -> Stage:
    """The mask of the pruner that ``ratio=like`` names, for one that does.

    Checks of scores and mask are about the ticket, not about the ratio it borrows.
    """
    assert experiment.donor is not None
    search = _Search(experiment.donor, ONCE, None)
    return _stage(DONOR, experiment, search, {"trained": trained})


def _stage(
    name: str, experiment: Experiment, search: "_Search", given: Mapping[str, Stage | None]
) -> Stage:
    pruner = search.method.pruner
    inputs = {role: one for role, one in given.items() if one is not None}
    if not pruner.needs_trained_weights:
        inputs.pop("trained", None)
    keys = {role: one.key for role, one in inputs.items()}
    corrupted = pruner.needs_data and experiment.check.target == "data"
    settings = {
        "arch": experiment.ids.arch,
        "input_shape": list(experiment.input_shape),
        "seed": experiment.settings.seed,
        **search.method.identity,
        "weights": keys.get("trained"),
        "dataset": experiment.ids.dataset if pruner.needs_data else None,
        "data_check": experiment.ids.check if corrupted else None,
        "donor": keys.get("donor"),
        "previous": keys.get("previous"),
        "progress": list(search.round.progress),
        "check": None if search.check is None else experiment.ids.check,
    }
    perturbed = corrupted or search.check is not None
    return Stage(name, PRUNE, settings, inputs, search, perturbed)


def warn(stage: Stage, pruned: Entry) -> None:
    """Say what is odd about a mask that has just been found, or was found once."""
    if stage.name == DONOR:
        kept = sum(masks.kept(mask_of(pruned)).values())
        ties = pruned.facts["ties"]
        for remark in (remarks.of_ties(ties, kept), remarks.of_flat(ties)):
            if remark:
                log.warning("ratio.of: %s", remark)
    elif pruned.facts["dead"]:
        log.warning("the ticket is dead: no path of kept weights leads from input to output")
    elif pruned.facts["dead"] is None:
        log.warning(
            "whether a path of kept weights is left from input to output cannot be judged for this "
            "network (arch)"
        )
    elif pruned.facts["empty"]:
        log.warning("layers that keep nothing: %s", ", ".join(pruned.facts["empty"]))


@dataclass(frozen=True)
class _Search:
    """One search for a mask: by which method, in which round, and the check that acts in it."""

    method: Method
    round: Round
    check: Check | None

    def __call__(self, context: Context, inputs: Inputs, work: Work) -> dict[str, Any]:
        """Find the mask, let the check perturb it, and say what is left."""
        experiment, check, trained = context.experiment, self.check, inputs.get("trained")
        network = context.initial_network()
        if trained is not None:
            network.load_state_dict(final(trained)[0])
        lent = masks.kept(mask_of(inputs["donor"])) if "donor" in inputs else {}
        allocation = self.method.allocate(experiment.blueprint, lent)
        chance = generator(context.seed, *self.round.stream("check"))
        effects: list[Effect] = []

        def perturb(scores: Scores) -> Scores:
            if isinstance(check, ScoreCheck):
                scores, effect = check.perturb(scores, chance)
                effects.append(effect)
            return scores

        mask, ties = self._find(context, inputs, network, allocation, perturb)
        if isinstance(check, MaskCheck):
            mask, effect = check.perturb(mask, chance)
            effects.append(effect)
        elif self.method.pruner.needs_data and context.data.effect is not None:
            effects.append(context.data.effect)
        wanted = allocation.at(self.round.progress[1], experiment.blueprint)
        self._refuse_wrong_count(mask, wanted.total)
        save_tensors(work.directory, "mask", mask)
        facts = _facts(experiment, mask, ties)
        if trained is not None:
            masks.apply(network, mask)
            facts["pruned_test_accuracy"] = context.accuracy(network, context.data.clean.test)
        if effects:
            largest = max(effects, key=lambda effect: effect.changed)
            facts["effect"] = effect_of(experiment.check, largest)
        return facts

    def _refuse_wrong_count(self, mask: Mask, wanted: int) -> None:
        """A mask of another size than its ratio allocates is compared with the wrong tickets."""
        kept = sum(masks.kept(mask).values())
        if kept == wanted:
            return
        if isinstance(self.check, MaskCheck):
            raise CheckError(
                f"sanity_check={option_name(self.check)}: the mask it gives keeps {kept} weights "
                f"instead of {wanted}; a check must not change how many there are"
            )
        raise TrainingError(f"the mask keeps {kept} weights instead of {wanted}")

    def _find(
        self,
        context: Context,
        inputs: Inputs,
        network: nn.Module,
        allocation: Allocation,
        perturb: Callable[[Scores], Scores],
    ) -> tuple[Mask, Ties]:
        experiment, pruner = context.experiment, self.method.pruner
        batches = self._batches(context, network) if pruner.needs_data else []
        own_chance = seeded(stream(context.seed, "network", *self.round.stream("mask")))
        with own_chance, console.bar("prune", pruner.iterations) as bar:
            return find_mask(
                pruner,
                network,
                experiment.blueprint,
                allocation,
                input_shape=experiment.input_shape,
                generator=generator(context.seed, *self.round.stream("mask")),
                batches=_Watched(batches, bar),
                start=_mask_before(inputs),
                progress=self.round.progress,
                perturb=perturb,
                on_step=lambda done, steps: bar.advance(),
            )

    def _batches(self, context: Context, network: nn.Module) -> Batches:
        """What the pruner scores, in parts where it would take too much memory and that is fine."""
        experiment, pruner = context.experiment, self.method.pruner
        trial = Scoring(
            network=deepcopy(network).eval(),
            blueprint=experiment.blueprint,
            mask=masks.full(experiment.blueprint),
            batches=_batches(context, pruner),
            generator=generator(context.seed, *self.round.stream("mask")),
            input_shape=experiment.input_shape,
        )
        return memory.fitted(pruner, trial, option_name(pruner))


def _mask_before(inputs: Inputs) -> Mask | None:
    """The mask to go on from: the one that the pruned network's own training ended with."""
    if "previous" not in inputs:
        return None
    trained = inputs.get("trained")
    return mask_of(inputs["previous"]) if trained is None else final(trained)[1]


class _Watched(list[Batch]):
    """The batches of a scoring, which may take minutes: whoever waits is told at which it is."""

    def __init__(self, batches: Iterable[Batch], bar: console.Bar) -> None:
        super().__init__(batches)
        self._bar = bar

    def __iter__(self) -> Iterator[Batch]:
        for number, batch in enumerate(super().__iter__(), start=1):
            self._bar.within(f"batch {number}/{len(self)}")
            yield batch


def _batches(context: Context, pruner: Pruner) -> list[Batch]:
    """Class-balanced, augmented batches of the images that pruning sees."""
    images = context.data.seen_by_pruning.train
    num_classes = context.experiment.dataset.num_classes
    assert num_classes is not None, "resolved when the experiment was built"
    random = generator(context.seed, "scoring")
    count = pruner.scoring_batches(context.experiment.blueprint, num_classes)
    labels, name = images.labels.cpu(), context.data.class_name
    drawn = deal(labels, num_classes, pruner.samples_per_class, count, random, name)
    return [images.augmented(indices, random) for indices in drawn]


def _facts(experiment: Experiment, mask: Mask, ties: Ties) -> dict[str, Any]:
    """Which layers the mask empties, whether it leaves a network to train, what order decided,
    and what the ticket costs."""
    kept = masks.kept(mask)
    factory, shape = experiment.factory, experiment.input_shape
    return {
        "empty": [name for name, count in kept.items() if count == 0],
        "dead": is_dead(factory, mask, shape),
        "ties": ties.facts(sum(kept.values())),
        "footprint": footprint(factory, experiment.blueprint, mask, shape),
    }
