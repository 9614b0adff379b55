"""Image files as packed pixels: decoding, colour, size."""

import io
from collections.abc import Callable, Sequence

import numpy as np
import torch

from sanity.console import bar
from sanity.datasets.base import Examples
from sanity.errors import DataError

MODES = {1: "L", 3: "RGB"}  # channels -> Pillow's name for such images


def decode(content: bytes, channels: int, image_size: int | None) -> np.ndarray:
    """The pixels of an image file, uint8 [H, W, channels].

    Grey images become colour and the other way round. With ``image_size`` the shorter side is
    scaled to it and the middle is cut out; without, pixels stay as they are. Raises ValueError
    for what is no image.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(io.BytesIO(content)) as opened:
            opened.load()
            image: Image.Image = opened
            if image.mode == "P" and "transparency" in image.info:
                image = image.convert("RGBA")  # the way Pillow asks for, to lose no palette entry
            image = image.convert(MODES[channels])
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(f"not a readable image ({error})") from None
    if image_size is not None:
        image = ImageOps.fit(image, (image_size, image_size), Image.Resampling.BILINEAR)
    return np.asarray(image).reshape(image.height, image.width, channels)


def read_images(
    files: Sequence[tuple[str, int]],
    load: Callable[[str], bytes],
    channels: int,
    image_size: int | None,
    num_classes: int,
    label: str,
) -> Examples:
    """Decode (name, class) ``files`` in the given order; ``label`` stands at the progress bar.

    Raises DataError naming the first file that cannot be read, or whose size is not the others'.
    """
    images = np.empty(0, dtype=np.uint8)
    with bar(label, len(files)) as progress:
        for position, (name, _) in enumerate(files):
            try:
                pixels = decode(load(name), channels, image_size)
            except (OSError, ValueError) as error:
                raise DataError(f"{name}: {error}") from None
            if position == 0:
                images = np.empty((len(files), *pixels.shape), dtype=np.uint8)
            _check_size(name, pixels, images.shape[1:3])
            images[position] = pixels
            progress.advance(1)
    labels = torch.tensor([label for _, label in files], dtype=torch.int64)
    return Examples(torch.from_numpy(images), labels, num_classes)


def _check_size(name: str, pixels: np.ndarray, expected: tuple[int, ...]) -> None:
    height, width = pixels.shape[:2]
    if height != width or (height, width) != expected:
        others = "" if (height, width) == expected else f" (the first: {expected[1]}x{expected[0]})"
        raise DataError(
            f"{name} has {width}x{height} pixels{others}, but images must be squares of one size: "
            "set dataset.image_size to resize them"
        )
