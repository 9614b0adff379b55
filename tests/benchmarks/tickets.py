"""Networks, images and masks as the benchmark has them: by the project's own parts, no store."""

from dataclasses import dataclass, field

import torch
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from torch import Tensor, nn

from sanity.core.config import PROJECT
from sanity.core.streams import generator
from sanity.datasets.base import Examples
from sanity.experiment.experiment import Experiment, build
from sanity.networks.build import build as build_network
from sanity.pruning import scoring
from sanity.pruning.masks import Mask
from sanity.pruning.selection import find_mask
from sanity.training.engines.dense import Dense
from sanity.training.images import Images

METHODS = {
    "random x uniform": ("pruner=random", "ratio=uniform"),
    "random x smart": ("pruner=random", "ratio=smart"),
    "SNIP": ("pruner=snip", "ratio=global"),
    "LT": ("pruner=lt", "ratio=global"),
}
WARM = 100
"""Steps that the dense network has learned when its magnitudes make LT's mask."""

IMAGES = 2560


@dataclass
class Subject:
    """What is trained: a network by its options, and images of its data set's form."""

    name: str
    options: tuple[str, ...]
    _trained: dict[str, Tensor] = field(default_factory=dict)

    def experiment(self, *more: str) -> Experiment:
        """The experiment, as the command line would have it."""
        GlobalHydra.instance().clear()
        with initialize_config_dir(str(PROJECT / "conf"), version_base="1.3"):
            return build(compose("config", [*self.options, *more]))

    def network(self, device: torch.device) -> nn.Module:
        """With its initial weights."""
        return build_network(self.experiment().factory, generator(0, "init")).to(device)

    def examples(self) -> Examples:
        """Images of noise around one picture a class: what a step costs does not depend on them."""
        experiment, random = self.experiment(), torch.Generator().manual_seed(0)
        (channels, height, width), classes = experiment.input_shape, experiment.num_classes
        labels = torch.arange(IMAGES) % classes
        pictures = torch.randint(256, (classes, height, width, channels), generator=random)
        noise = torch.randint(-60, 60, (IMAGES, height, width, channels), generator=random)
        pixels = (pictures[labels] + noise).clamp(0, experiment.dataset.pixel_max)
        return Examples(pixels.to(torch.uint8), labels, classes)

    def mask(self, method: str, sparsity: float, images: Images) -> Mask:
        """What the method keeps of the initial network; LT, of one trained for WARM steps."""
        experiment = self.experiment(*METHODS[method], f"ratio.sparsity={sparsity}")
        network, pruner = self.network(images.device), experiment.pruner
        if pruner.needs_trained_weights:
            if not self._trained:
                _train(network, experiment, images)
                self._trained.update(network.state_dict())
            network.load_state_dict(self._trained)
        mask, _ = find_mask(
            pruner,
            network,
            experiment.blueprint,
            experiment.method.allocate(experiment.blueprint, {}),
            input_shape=experiment.input_shape,
            generator=generator(0, "mask"),
            batches=_batches(experiment, images) if pruner.needs_data else [],
        )
        return mask


def _train(network: nn.Module, experiment: Experiment, images: Images) -> None:
    engine = Dense(network, experiment.recipe, {})
    engine.begin(experiment.recipe.lr)
    done = 0
    for epoch in range(WARM):
        for x, y in images.epoch(0, epoch, experiment.recipe.batch_size):
            if done < WARM:
                engine.step(x, y)
                done += 1


def _batches(experiment: Experiment, images: Images) -> list[tuple[Tensor, Tensor]]:
    random, pruner, classes = generator(0, "scoring"), experiment.pruner, experiment.num_classes
    count = pruner.scoring_batches(experiment.blueprint, classes)
    dealt = scoring.deal(images.labels.cpu(), classes, pruner.samples_per_class, count, random)
    return [images.augmented(indices, random) for indices in dealt]
