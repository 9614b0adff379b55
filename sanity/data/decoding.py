"""One image file as packed pixels: which frame, which way up, on what background, what size."""

import io
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sanity.core.errors import ConfigError, as_line

if TYPE_CHECKING:  # a run whose data are packed needs no Pillow
    from PIL.Image import Image as Picture

REVISION = 2  # raised where the same file comes to give other pixels: what was packed is too old
MODES = {1: "L", 3: "RGB"}  # channels -> Pillow's name for such images
FORMATS = {  # suffix -> Pillow's name for the format; no other is tried, whatever a file is called
    **{".bmp": "BMP", ".gif": "GIF", ".webp": "WEBP", ".tif": "TIFF", ".tiff": "TIFF"},
    **{".jpeg": "JPEG", ".jpg": "JPEG", ".jpe": "JPEG", ".jfif": "JPEG"},
    **{".png": "PNG", ".apng": "PNG"},
    **{".pbm": "PPM", ".pgm": "PPM", ".pnm": "PPM", ".ppm": "PPM"},
}
FORMAT_NAMES = sorted(set(FORMATS.values()))
PIXELS = 50_000_000  # of one image; Pillow's own warning begins at 89 million
DEEP = ("I", "F")  # how the names of Pillow's modes of more than 8 bits a channel begin
GREY = ("1", "L", "LA", "La")
ORIENTATION = 0x0112  # EXIF's tag: 1 is upright

TRAITS = {  # what can be worth knowing of an image -> how it is told of many
    "transparent": "have transparent pixels, which show the background, {background}",
    "turned": "are turned upright, as their EXIF orientation says",
    "frames": "have several frames or pages, of which the first is used",
    "deep": "have 16 bits a channel, of which the upper 8 are used",
    "cmyk": "are CMYK, converted without a colour profile",
    "grey": "are grey, repeated in all channels",
    "cropped": "are not square: their middle is used",
}


@dataclass(frozen=True)
class Form:
    """How images are to be packed.

    ``background`` is the colour that transparent pixels show; None refuses them. Without
    ``upright`` pixels stay in the order of the file, whatever its EXIF orientation says.
    """

    channels: int
    image_size: int | None = None
    background: str | None = None
    upright: bool = True

    def validate(self) -> None:
        """Raise ConfigError for a form that no image can have."""
        if self.channels not in MODES:
            raise ConfigError(f"dataset.channels={self.channels}: must be 1 (grey) or 3 (colour)")
        if self.background is not None:
            _colour(self.background)


@dataclass(frozen=True)
class Decoded:
    """The pixels of an image, uint8 [H, W, channels], and which of ``TRAITS`` it has."""

    pixels: np.ndarray
    traits: set[str]


def decode(content: bytes, form: Form) -> Decoded:
    """The first frame of an image file, upright.

    Grey images become colour and the other way round. With ``image_size`` the shorter side is
    scaled to it and the middle is cut out; without, pixels stay as they are. Raises ValueError
    for what is no image in one of ``FORMATS``, has more than 8 bits a channel in grey, more than
    ``PIXELS``, or transparent pixels and no background.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        image, traits = _opened(content, form)
    except UnidentifiedImageError:
        raise ValueError(f"not a readable image (none of {', '.join(FORMAT_NAMES)})") from None
    except Exception as error:  # damage fails in any way: OSError, IndexError, struct.error, ...
        raise ValueError(
            f"not a readable image ({as_line(error) or type(error).__name__})"
        ) from None
    image = _on_background(image, form, traits).convert(MODES[form.channels])
    if form.image_size is not None:
        if image.width != image.height:
            traits.add("cropped")
        image = ImageOps.fit(image, (form.image_size,) * 2, Image.Resampling.BILINEAR)
    pixels = np.asarray(image).reshape(image.height, image.width, form.channels)
    return Decoded(pixels, traits)


def _opened(content: bytes, form: Form) -> "tuple[Picture, set[str]]":
    """The upright image, as RGBA where it may be transparent, otherwise in its form's mode.

    What it would cost is known before any pixel is decoded.
    """
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about metadata, of which only the orientation is used
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with Image.open(io.BytesIO(content), formats=FORMAT_NAMES) as image:
            if image.width * image.height > PIXELS:
                raise ValueError(
                    f"{image.width}x{image.height} pixels are more than {PIXELS:,}: scale it down"
                )
            if image.mode.startswith(DEEP):  # Pillow would make white of all above 255
                raise ValueError("it has more than 8 bits a channel: convert it to 8")
            traits = _traits(image, form)
            image.load()
            turned = _upright(image, traits) if form.upright else image
            mode = "RGBA" if turned.has_transparency_data else MODES[form.channels]
            return turned.convert(mode), traits


def _traits(image: "Picture", form: Form) -> set[str]:
    """Those that an image shows before its pixels are decoded."""
    deep = ";16" in str(getattr(image, "tile", ""))
    if deep and "transparency" in image.info:  # a colour that 8 bits cannot tell from others
        raise ValueError("it has a transparent colour of 16 bits a channel: convert it to 8")
    found = {
        "frames": getattr(image, "is_animated", False),
        "deep": deep,
        "cmyk": image.mode == "CMYK",
        "grey": image.mode in GREY and form.channels > 1,
        # Pillow turns a TIFF when it is loaded, and forgets that it did.
        "turned": getattr(image, "tag_v2", {}).get(ORIENTATION, 1) != 1,
    }
    return {name for name, has in found.items() if has}


def _upright(image: "Picture", traits: set[str]) -> "Picture":
    """The loaded ``image`` as EXIF says that it is to be seen."""
    from PIL.Image import Transpose

    turns = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }
    try:
        turn = turns.get(image.getexif().get(ORIENTATION, 1))
    except Exception:  # damaged metadata say nothing
        return image
    if turn is None:
        return image
    traits.add("turned")
    return image.transpose(turn)


def _on_background(image: "Picture", form: Form, traits: set[str]) -> "Picture":
    """What is seen of an RGBA image with transparent pixels; any other one as it is."""
    from PIL import Image

    if image.mode != "RGBA" or image.getchannel("A").getextrema()[0] == 255:
        return image
    if form.background is None:
        raise ValueError(
            "has transparent pixels: set dataset.background to the colour that they are to show, "
            "such as white or black"
        )
    traits.add("transparent")
    canvas = Image.new("RGBA", image.size, _colour(form.background))
    return Image.alpha_composite(canvas, image)


def _colour(background: str) -> tuple[int, ...]:
    """Red, green and blue of a colour's name or number; raises ConfigError for any other text."""
    from PIL import ImageColor

    try:
        colour: tuple[int, ...] = ImageColor.getrgb(background)
    except ValueError:
        colour = ()
    if len(colour) != 3 or not all(0 <= value <= 255 for value in colour):
        raise ConfigError(
            f"dataset.background={as_line(background)}: must be a colour, such as white, black or "
            "'#8090a0'"
        )
    return colour
