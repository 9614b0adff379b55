"""Does this combination make sense? Asked once, before any training; the answer says what to do.

What is wrong by itself is a ConfigError; what only means nothing together, a CombinationError,
which a grid may leave out.
"""

from collections.abc import Iterator

from sanity.core import device
from sanity.core.config import STAGES
from sanity.core.errors import CombinationError, ConfigError
from sanity.experiment.experiment import Experiment
from sanity.experiment.instantiate import option_name
from sanity.networks.build import skeleton
from sanity.pruning import masks
from sanity.pruning.connectivity import is_dead
from sanity.ratios.base import Allocation
from sanity.training import engines


def validate(experiment: Experiment) -> None:
    """Raise ConfigError naming the setting that is wrong, or that does not fit another."""
    experiment.rewind.validate(experiment.recipe.epochs)
    _refuse_wrong_sparsity(experiment)
    for problem in (*_ratio_problems(experiment), *_check_problems(experiment)):
        raise CombinationError(problem)
    _validate_options(experiment)
    _refuse_engine(experiment)
    if experiment.pruner.prunes and experiment.donor is None:
        planned = experiment.method.allocate(experiment.blueprint, {})
        _refuse_idle_check(experiment, planned)
        _refuse_dead_layers(experiment, planned)


def _validate_options(experiment: Experiment) -> None:
    """Let pruners and check refuse their own settings now, not after the dense training."""
    experiment.check.validate()
    for method in (experiment.method, experiment.donor):
        if method is not None:
            method.pruner.validate()
            method.pruner.rounds(experiment.sparsity)
            if method.pruner.needs_data:
                method.pruner.scoring_batches(experiment.blueprint, experiment.num_classes)


def _refuse_engine(experiment: Experiment) -> None:
    """Refuse an engine that cannot train this network, or its tickets, here."""
    recipe, settings = experiment.recipe, experiment.settings
    if recipe.engine == "fused" or (recipe.engine == "sparse" and experiment.pruner.prunes):
        network = skeleton(experiment.factory)
        where = device.choose(settings.device).type
        engines.refuse(recipe.engine, network, recipe, experiment.input_shape, where)


def _refuse_wrong_sparsity(experiment: Experiment) -> None:
    sparsity, donor = experiment.ratio.sparsity, experiment.donor
    if experiment.pruner.decides_sparsity or (donor and donor.pruner.decides_sparsity):
        return
    if not isinstance(sparsity, int | float):
        raise ConfigError(f"ratio.sparsity={sparsity}: must be a number in [0, 1)")
    if not 0 <= sparsity < 1:
        raise ConfigError(
            f"ratio.sparsity={sparsity}: must be in [0, 1), the share of weights removed"
        )


def _ratio_problems(experiment: Experiment) -> Iterator[str]:
    pruner, ratio = experiment.pruner, experiment.ratio
    name = option_name(pruner)
    if pruner.decides_sparsity:
        return
    if not pruner.prunes and ratio.sparsity != 0:
        yield f"ratio.sparsity={ratio.sparsity}: pruner=dense prunes nothing; choose another pruner"
    if pruner.needs_layer_counts and ratio.pools:
        yield (
            f"ratio={option_name(ratio)}: pruner={name} needs a count for every layer; choose "
            "ratio=smart, erk, uniform or another layer-wise ratio"
        )
    if ratio.donor is not None and experiment.donor is not None:
        of, donor = ratio.donor[0], experiment.donor.pruner
        if not donor.prunes or donor.needs_layer_counts:
            yield (
                f"ratio.of={of}: has no layer ratios of its own to copy; choose a pruner "
                "that works with ratio=global, such as snip, grasp, synflow or lt"
            )
        elif donor.rounds(experiment.sparsity) > 1:
            yield f"ratio.of={of}: only one-shot pruners can lend their layer ratios; try lt"


def _check_problems(experiment: Experiment) -> Iterator[str]:
    check, pruner, until = experiment.check, experiment.pruner, experiment.settings.until
    name = option_name(check)
    if check.target in ("scores", "mask", "weights") and not pruner.prunes:
        yield f"sanity_check={name}: pruner=dense has no mask to check; choose another pruner"
    if check.target == "data" and not (experiment.uses_data or experiment.is_about_dense):
        yield (
            f"sanity_check={name}: pruner={option_name(pruner)} never sees data, so corrupting it "
            "changes nothing; choose rearrange, shuffle_weights or reinit"
        )
    if check.target == "scores" and (pruner.scores_are_random or pruner.decides_sparsity):
        yield (
            f"sanity_check={name}: pruner={option_name(pruner)} has no scores to perturb; choose "
            "rearrange, shuffle_weights or reinit"
        )
    acts = {"scores": "prune", "mask": "prune", "weights": "rewind"}.get(check.target)
    if acts is not None and STAGES.index(until) < STAGES.index(acts):
        yield f"sanity_check={name}: acts in {acts}, but until={until} stops before it"


def _refuse_idle_check(experiment: Experiment, planned: Allocation) -> None:
    """A mask that keeps everything is the same whatever a check did to find it."""
    idle = experiment.check.target in ("data", "scores", "mask") and not experiment.is_about_dense
    if idle and planned.total == experiment.blueprint.total:
        raise CombinationError(
            f"sanity_check={option_name(experiment.check)}: "
            f"ratio.sparsity={experiment.ratio.sparsity} prunes nothing, so there is no mask to "
            "check; raise it"
        )


def _refuse_dead_layers(experiment: Experiment, planned: Allocation) -> None:
    """Refuse to train where the ratio itself leaves no path through the network."""
    settings, ratio = experiment.settings, experiment.ratio
    if settings.until != "train_ticket" or settings.allow_dead or not planned.empty:
        return
    mask = masks.full(experiment.blueprint)
    for name in planned.empty:
        mask[name].zero_()
    if is_dead(experiment.factory, mask, experiment.input_shape):
        what = f"ratio.sparsity={ratio.sparsity}: ratio={option_name(ratio)}"
        cure = "lower it, choose another ratio, or train it"
        if experiment.method.given is not None:
            what, cure = f"pruner={option_name(experiment.pruner)}: its mask", "train it"
        raise CombinationError(
            f"{what} keeps no weight of {', '.join(planned.empty)}, which leaves no path from "
            f"input to output: {cure} all the same with allow_dead=true"
        )
