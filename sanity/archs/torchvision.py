"""Any classifier of torchvision, for the images and classes at hand."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import torch
import torchvision
from torch import Tensor, nn
from torchvision.models.vision_transformer import VisionTransformer, interpolate_embeddings

from sanity.core.config import absolute
from sanity.core.errors import ConfigError, one_line
from sanity.networks.checkpoint import load_state_dict
from sanity.networks.library import Library, take, unknown_name, with_channels, with_stem

SIZES = {"vit": "image_size", "maxvit": "input_size"}
"""Settings by which networks are told the images' size; all others take any."""

DEFAULTS: dict[str, dict[str, Any]] = {
    name: {"aux_logits": False, "init_weights": True} for name in ("googlenet", "inception_v3")
}
AUXILIARY = ("aux1.", "aux2.", "AuxLogits.")
"""Outputs of GoogLeNet and Inception for training alone, which are left out here."""


def network(
    name: str,
    num_classes: int,
    in_channels: int = 3,
    image_size: int = 32,
    stem: str = "imagenet",
    settings: Mapping[str, Any] | None = None,
    weights: str | None = None,
) -> nn.Module:
    """torchvision's network ``name``: images [B, C, H, W] -> logits [B, classes].

    ``settings`` are further arguments of its function there; ``weights`` a file of pretrained
    ones, of which the last layer, and what else is adapted, is drawn anew. Raises ConfigError for
    an unknown name and settings that it does not have.
    """
    function = _function(name)
    given = DEFAULTS.get(name, {}) | dict(settings or {})
    if size := SIZES.get(name.split("_")[0]):
        given |= {size: (image_size, image_size) if size == "input_size" else image_size}
    try:
        made = function(weights=None, num_classes=num_classes, **given)
    except (TypeError, ValueError, RuntimeError, AssertionError) as error:
        raise ConfigError(
            f"arch.name={name}: cannot be made for images of {image_size} x {image_size}: {error}"
        ) from error
    made = with_channels(with_stem(made, stem), in_channels)
    return made if weights is None else _pretrained(made, Path(weights), stem, in_channels)


def _function(name: str) -> Any:
    names = torchvision.models.list_models(module=torchvision.models)
    if name not in names:
        raise unknown_name(name, names, "torchvision")
    return torchvision.models.get_model_builder(name)


def _pretrained(made: nn.Module, path: Path, stem: str, in_channels: int) -> nn.Module:
    state = load_state_dict(path)
    if isinstance(made, VisionTransformer):
        state = _at_size(made, state)
    new = (_head(made), *(("conv1.",) if stem == "cifar" else ()), *AUXILIARY)
    first = next(name for name, module in made.named_modules() if isinstance(module, nn.Conv2d))
    kernel = state.get(f"{first}.weight")
    if kernel is not None and kernel.dim() == 4 and kernel.shape[1] == 3 and in_channels == 1:
        state = state | {f"{first}.weight": kernel.sum(dim=1, keepdim=True)}  # of grey images
    elif in_channels != 3:
        new = (*new, f"{first}.")
    return take(made, state, new, path)


def _at_size(made: VisionTransformer, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The position embeddings, interpolated to the size of the images."""
    if state.get("encoder.pos_embedding") is None:
        return state
    found: dict[str, Tensor] = dict(
        interpolate_embeddings(made.image_size, made.patch_size, dict(state))
    )
    return found


def _head(made: nn.Module) -> str:
    """How the names of the last layer begin."""
    return [
        name for name, module in made.named_modules() if isinstance(module, nn.Linear | nn.Conv2d)
    ][-1] + "."


def weights_file(name: str, weights: str) -> Path:
    """The file of pretrained weights: one of the library's names for them, or a path."""
    _function(name)
    choices = torchvision.models.get_model_weights(name).__members__
    if weights not in choices:
        path = absolute("arch.weights", weights)
        if not path.is_file():
            raise ConfigError(
                f"arch.weights={weights}: no such file, and no weights of {name}: choose null, "
                f"{', '.join(choices)} or a file"
            )
        return path
    url = str(choices[weights].url)
    path = Path(torch.hub.get_dir(), "checkpoints", Path(urlparse(url).path).name)
    if not path.is_file():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(url, str(path), progress=False)
        except (OSError, RuntimeError) as error:  # of the network, of the disk, of its digest
            raise ConfigError(
                f"arch.weights={weights}: {url} cannot be fetched ({one_line(error)}): "
                f"fetch it where there is a network, and put it at {path} or name it: "
                "arch.weights=FILE"
            ) from None
    return path


library = Library("torchvision", weights_file)
