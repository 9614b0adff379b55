"""Image files as packed pixels: decoding, colour, size."""

import io
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from sanity.console import bar
from sanity.datasets.base import Examples
from sanity.errors import DataError, as_line

if TYPE_CHECKING:  # a run whose data are packed needs no Pillow
    from PIL.Image import Image as Picture

MODES = {1: "L", 3: "RGB"}  # channels -> Pillow's name for such images
FORMATS = {  # suffix -> Pillow's name for the format; no other is tried, whatever a file is called
    **{".bmp": "BMP", ".gif": "GIF", ".jpeg": "JPEG", ".jpg": "JPEG", ".pgm": "PPM"},
    **{".png": "PNG", ".ppm": "PPM", ".tif": "TIFF", ".tiff": "TIFF", ".webp": "WEBP"},
}
FORMAT_NAMES = sorted(set(FORMATS.values()))
PIXELS = 50_000_000  # of one image; Pillow's own warning begins at 89 million
DEEP = ("I", "F")  # how the names of Pillow's modes of more than 8 bits a channel begin


def decode(content: bytes, channels: int, image_size: int | None) -> np.ndarray:
    """The pixels of an image file, uint8 [H, W, channels].

    Grey images become colour and the other way round. With ``image_size`` the shorter side is
    scaled to it and the middle is cut out; without, pixels stay as they are. Raises ValueError
    for what is no image in one of ``FORMATS``, has more than 8 bits a channel or ``PIXELS``.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    mode = MODES[channels]
    try:
        image = _opened(content, mode)
    except UnidentifiedImageError:
        raise ValueError(f"not a readable image (none of {', '.join(FORMAT_NAMES)})") from None
    except Exception as error:  # damage fails in any way: OSError, IndexError, struct.error, ...
        raise ValueError(
            f"not a readable image ({as_line(error) or type(error).__name__})"
        ) from None
    if image_size is not None:
        image = ImageOps.fit(image, (image_size, image_size), Image.Resampling.BILINEAR)
    return np.asarray(image).reshape(image.height, image.width, channels)


def _opened(content: bytes, mode: str) -> "Picture":
    """The image in Pillow's ``mode``; what it would cost is known before any pixel is decoded."""
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about metadata, of which none is used
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with Image.open(io.BytesIO(content), formats=FORMAT_NAMES) as image:
            if image.width * image.height > PIXELS:
                raise ValueError(
                    f"{image.width}x{image.height} pixels are more than {PIXELS:,}: scale it down"
                )
            if image.mode.startswith(DEEP):  # Pillow would make white of all above 255
                raise ValueError("it has more than 8 bits a channel: convert it to 8")
            image.load()
            if image.mode == "P" and "transparency" in image.info:
                # The way Pillow asks for, to lose no palette entry.
                return image.convert("RGBA").convert(mode)
            return image.convert(mode)


def read_images(
    files: Sequence[tuple[str, int]],
    load: Callable[[str], bytes],
    channels: int,
    image_size: int | None,
    num_classes: int,
    label: str,
) -> Examples:
    """Decode (name, class) ``files`` in the given order; ``label`` stands at the progress bar.

    Raises DataError naming the first file that cannot be read, or whose size is not the others',
    and where all together do not fit into memory.
    """
    images = np.empty(0, dtype=np.uint8)
    with bar(as_line(label), len(files)) as progress:
        for position, (name, _) in enumerate(files):
            try:
                pixels = decode(load(name), channels, image_size)
            except OSError as error:
                raise DataError(f"{as_line(name)}: {as_line(error.strerror or error)}") from None
            except ValueError as error:
                raise DataError(f"{as_line(name)}: {as_line(error)}") from None
            _check_size(name, pixels, images.shape[1:3] if position else pixels.shape[:2])
            if position == 0:
                images = _room(label, (len(files), *pixels.shape))
            images[position] = pixels
            progress.advance(1)
    labels = torch.tensor([label for _, label in files], dtype=torch.int64)
    return Examples(torch.from_numpy(images), labels, num_classes)


def _room(label: str, shape: tuple[int, ...]) -> np.ndarray:
    try:
        return np.empty(shape, dtype=np.uint8)
    except (MemoryError, ValueError):
        count, height, width, _ = shape
        raise DataError(
            f"{as_line(label)}: {count} images of {width}x{height} pixels do not fit into memory: "
            "set dataset.image_size to a smaller one"
        ) from None


def _check_size(name: str, pixels: np.ndarray, expected: tuple[int, ...]) -> None:
    height, width = pixels.shape[:2]
    if height != width or (height, width) != expected:
        others = "" if (height, width) == expected else f" (the first: {expected[1]}x{expected[0]})"
        raise DataError(
            f"{as_line(name)} has {width}x{height} pixels{others}, but images must be squares of "
            "one size: set dataset.image_size to resize them"
        )
