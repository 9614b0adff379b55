"""The parts of one run, built from its configuration: who they are, and what they can do."""

import functools
import hashlib
import json
import operator
from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig

from sanity import data
from sanity.checks.base import Check
from sanity.core.config import Settings, conform, read_settings
from sanity.datasets.base import Dataset
from sanity.experiment import foreign, patterns
from sanity.experiment.instantiate import Values, component, identified, resolved
from sanity.experiment.method import Method, methods
from sanity.experiment.network import describe
from sanity.identity import Code, building, code_of, loaded
from sanity.networks.build import Factory, skeleton
from sanity.networks.initial import Initial
from sanity.networks.layers import Blueprint
from sanity.pruners.base import Pruner
from sanity.ratios.base import Ratio
from sanity.rewinds.base import Rewind
from sanity.training.recipe import Recipe


@dataclass(frozen=True)
class Identity:
    """What names the parts of a run in the keys of results."""

    arch: Values
    dataset: Values
    rewind: Values
    check: Values
    recipe: Values


@dataclass(frozen=True)
class Experiment:
    """Everything a run is made of; building it draws no random number and trains nothing.

    ``input_shape`` is (C, H, W) of the images; ``donor`` is the method whose layer counts
    ``ratio=like`` copies, ``code`` what the parts that are not of this package consist of,
    ``dense_code`` those of them that train the dense network; ``notes`` are to be known of files
    of other tools that are read.
    """

    settings: Settings
    factory: Factory
    initial: Initial
    blueprint: Blueprint
    dataset: Dataset
    input_shape: tuple[int, int, int]
    num_classes: int
    method: Method
    donor: Method | None
    rewind: Rewind
    check: Check
    recipe: Recipe
    ids: Identity
    code: Code
    dense_code: Code
    notes: tuple[str, ...] = ()

    @property
    def pruner(self) -> Pruner:
        return self.method.pruner

    @property
    def ratio(self) -> Ratio:
        return self.method.ratio

    @property
    def sparsity(self) -> float | None:
        """The share of weights removed, be it a mask's that is given, or that of the donor's."""
        decides = self.donor if self.donor and self.ratio.sparsity is None else self.method
        return decides.sparsity(self.blueprint)

    @property
    def start_epoch(self) -> int:
        """The epoch of the schedule at which the ticket's training starts."""
        return self.rewind.start_epoch(self.recipe.epochs)

    @property
    def uses_trained_weights(self) -> bool:
        """Whether the mask depends on trained weights, be it through the ratio."""
        methods = [self.method, self.donor] if self.donor else [self.method]
        return any(method.pruner.needs_trained_weights for method in methods)

    @property
    def uses_data(self) -> bool:
        """Whether the mask depends on training images, be it through trained weights."""
        methods = [self.method, self.donor] if self.donor else [self.method]
        return self.uses_trained_weights or any(method.pruner.needs_data for method in methods)

    @property
    def is_about_dense(self) -> bool:
        """Whether the dense network is itself what the user asks for."""
        return self.settings.until == "train_dense" or not self.pruner.prunes

    @property
    def needs_dense(self) -> bool:
        """Whether anything asks for a trained dense network."""
        rewound = self.rewind.source != "init" and self.settings.until != "prune"
        return self.is_about_dense or self.uses_trained_weights or rewound

    @property
    def corrupts_dense(self) -> bool:
        """Whether a data check reaches the dense network: only where pruning looks at it.

        A network that is trained for the rewind alone is no part of the search for the mask.
        """
        reached = self.is_about_dense or self.uses_trained_weights
        return self.check.target == "data" and reached

    @property
    def workload(self) -> str:
        """Names trainings that cost about the same an epoch, whatever their seed and mask."""
        recipe = (self.recipe.batch_size, self.recipe.precision)
        text = json.dumps([self.ids.arch, self.ids.dataset, *recipe], sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def build(cfg: DictConfig) -> Experiment:
    """Instantiate every group of ``cfg``; raises ConfigError for a name or setting that is wrong.

    A folder data set is packed here, since the network's shape depends on what is in it.
    """
    settings = read_settings(cfg)
    before = loaded()
    patterns.unify(cfg)
    with building() as reads:
        dataset = component("dataset", resolved(cfg, "dataset"), Dataset)
    dataset_facts, dataset_code = code_of(dataset.own_settings, type(dataset), reads)
    dataset = data.resolve(dataset, Path(settings.data_dir))
    side, num_classes = dataset.image_size, dataset.num_classes
    assert side is not None, "known since the data set was resolved"
    assert num_classes is not None, "known since the data set was resolved"
    # What only a look at the data tells; the network's YAML refers to it.
    cfg.dataset.num_classes, cfg.dataset.image_size = num_classes, side
    cfg.data_dir, cfg.store_dir = settings.data_dir, settings.store_dir  # absolute from here on
    network = describe(resolved(cfg, "arch"), settings.seed, dataset.channels, side, num_classes)
    outline = functools.cache(functools.partial(skeleton, network.factory))
    found = methods(cfg, settings.seed, outline)
    method, donor, notes = found.method, found.donor, found.notes
    if network.initial.file is not None:
        notes = (*foreign.initial(network.initial.file, outline()), *notes)
    rewind = identified("rewind", resolved(cfg, "rewind"), Rewind)
    check = identified("sanity_check", resolved(cfg, "sanity_check"), Check)
    recipe = Recipe(**conform("training", Recipe, resolved(cfg, "training")))
    recipe.validate()
    dense_code = dataset_code | network.code
    own = [method.code, rewind.code, check.code, *([donor.code] if donor else [])]
    code = functools.reduce(operator.or_, own, dense_code)
    code.refuse_unknown(before)
    return Experiment(
        settings=settings,
        factory=network.factory,
        initial=network.initial,
        blueprint=network.blueprint,
        dataset=dataset,
        input_shape=(dataset.channels, side, side),
        num_classes=num_classes,
        method=method,
        donor=donor,
        rewind=rewind.part,
        check=check.part,
        recipe=recipe,
        ids=Identity(
            arch=network.identity,
            dataset=data.identity(dataset) | dataset_facts,
            rewind=rewind.values,
            check=check.values,
            recipe=recipe.identity(),
        ),
        code=code,
        dense_code=dense_code,
        notes=notes,
    )
