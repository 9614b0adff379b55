"""Stage 3: the weights a ticket starts from; checks of the weights act here."""

import functools
from typing import Any

from torch import Tensor

from sanity.checks.base import WeightCheck
from sanity.core.streams import generator
from sanity.experiment.experiment import Experiment
from sanity.networks.build import build
from sanity.pruning.ticket import compress
from sanity.stages.context import Context, effect_of
from sanity.stages.results import final, mask_of
from sanity.stages.rounds import Round
from sanity.stages.snapshot import weights_at
from sanity.stages.stage import REWIND, Inputs, Stage
from sanity.store import Work, save_tensors


def stage(
    experiment: Experiment,
    round_: Round,
    dense: Stage | None,
    trained: Stage | None,
    mask: Stage,
) -> Stage:
    """Leaves the ticket's starting ``weights``, compressed by its ``mask``.

    ``trained`` is the network that was pruned: the dense one, or IMP's last. Learning rate
    rewinding goes on from it; the other rewinds return to the ``dense`` network's past.
    """
    source = {"init": None, "epoch": dense, "final": trained}[experiment.rewind.source]
    checked = isinstance(experiment.check, WeightCheck) and round_.last
    settings = {
        "arch": experiment.ids.arch,
        "seed": experiment.settings.seed,
        "rewind": experiment.ids.rewind,
        "source": None if source is None else source.key,
        "mask": mask.key,
        "check": experiment.ids.check if checked else None,
    }
    inputs = {"mask": mask} if source is None else {"source": source, "mask": mask}
    compute = functools.partial(_compute, checked=checked)
    return Stage(round_.name(REWIND), REWIND, settings, inputs, compute, perturbed=checked)


def _compute(context: Context, inputs: Inputs, work: Work, *, checked: bool) -> dict[str, Any]:
    experiment, mask = context.experiment, mask_of(inputs["mask"])
    check, source = experiment.check, experiment.rewind.source
    if source == "init":
        weights = context.initial_network().cpu().state_dict()
    elif source == "epoch":
        weights = weights_at(context, inputs["source"], experiment.start_epoch)
    else:
        weights, _ = final(inputs["source"])
    facts: dict[str, Any] = {}
    if checked:
        assert isinstance(check, WeightCheck)
        chance = generator(context.seed, "check")
        weights, effect = check.perturb(weights, mask, lambda: _fresh(context), chance)
        facts["effect"] = effect_of(check, effect)
    save_tensors(work.directory, "weights", compress(weights, mask))
    return facts


def _fresh(context: Context) -> dict[str, Tensor]:
    """The same network, initialised once more by other draws."""
    return build(context.experiment.factory, generator(context.seed, "check", "init")).state_dict()
