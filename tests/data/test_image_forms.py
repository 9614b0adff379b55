"""An image is packed as a person sees it: upright, on a stated background, its first frame."""

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from dataset_originals import flat, jpeg, png, random_pixels
from PIL import Image

from sanity.core.errors import ConfigError
from sanity.data.decoding import Form, decode

GLYPH = np.zeros((4, 4), dtype=bool)
GLYPH[1:3, 1] = True  # what is opaque

TURNED = {  # orientation -> what is stored, as a matrix, of what is to be seen
    1: lambda seen: seen,
    2: np.fliplr,
    3: lambda seen: np.rot90(seen, 2),
    4: np.flipud,
    5: lambda seen: seen.swapaxes(0, 1),
    6: lambda seen: np.rot90(seen, 1),
    7: lambda seen: np.rot90(seen, 2).swapaxes(0, 1),
    8: lambda seen: np.rot90(seen, -1),
}


def saved(image: Image.Image, form: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def exif(orientation: int) -> Image.Exif:
    found = Image.Exif()
    found[0x0112] = orientation
    return found


def glyph(form: str, mode: str) -> bytes:
    """A black glyph, whose surroundings are transparent and hide other colours."""
    hidden = random_pixels(4, 4, 3)
    shown = np.where(GLYPH[..., None], 0, hidden | 1)
    if mode in ("RGBA", "LA"):
        layers = Image.fromarray(np.dstack([shown, GLYPH * np.uint8(255)]).astype(np.uint8))
        options = {"lossless": True, "exact": True} if form == "WEBP" else {}
        return saved(layers.convert(mode), form, **options)
    if mode == "RGB":  # one colour of all is the transparent one
        pixels = np.where(GLYPH[..., None], 0, [9, 8, 7]).astype(np.uint8)
        return saved(Image.fromarray(pixels), form, transparency=(9, 8, 7))
    grey = Image.fromarray(np.where(GLYPH, 0, 255).astype(np.uint8))
    if mode == "P":
        indices = Image.fromarray(np.where(GLYPH, 0, 1).astype(np.uint8)).convert("L")
        indices.putpalette([0, 0, 0, 90, 20, 30])
        return saved(indices, form, transparency=1)
    return saved(grey.convert(mode), form, transparency=255 if mode == "L" else 1)


GLYPHS = [
    *(("PNG", mode) for mode in ("RGBA", "LA", "RGB", "L", "P")),
    *(("GIF", "P"), ("WEBP", "RGBA"), ("TIFF", "RGBA"), ("TIFF", "LA")),
]


@pytest.mark.parametrize(("form", "mode"), GLYPHS)
def test_transparent_pixels_show_the_background_and_nothing_else(form: str, mode: str) -> None:
    content = glyph(form, mode)
    with pytest.raises(ValueError, match=r"has transparent pixels: set dataset\.background"):
        decode(content, Form(3))
    for background, colour in (
        ("white", [255] * 3),
        ("#0080ff", [0, 128, 255]),
        ("black", [0] * 3),
    ):
        decoded = decode(content, Form(3, background=background))
        assert "transparent" in decoded.traits
        assert np.array_equal(decoded.pixels, np.where(GLYPH[..., None], 0, colour))
    grey = decode(content, Form(1, background="white")).pixels
    assert np.array_equal(grey[..., 0], np.where(GLYPH, 0, 255))


def test_half_transparent_pixels_are_mixed() -> None:
    half = np.dstack([flat(0, 4), np.full((4, 4), 51, dtype=np.uint8)])  # a fifth
    assert (decode(png(half), Form(3, background="white")).pixels == 204).all()


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_an_opaque_image_needs_no_background(mode: str) -> None:
    pixels = random_pixels(4, 4, 3)
    image = Image.fromarray(pixels)
    options: dict[str, Any] = {}
    if mode == "P":
        image, options = image.quantize(8), {"transparency": 200}  # a colour that does not occur
        pixels = np.asarray(image.convert("RGB"))
    elif mode == "LA":
        image = image.convert("LA")
        pixels = np.asarray(image.convert("RGB"))
    else:
        image = image.convert("RGBA")
    decoded = decode(saved(image, "PNG", **options), Form(3))
    assert np.array_equal(decoded.pixels, pixels)
    assert "transparent" not in decoded.traits


@pytest.mark.parametrize("background", ["whit", "", "#ffffff80", "hsv(400,300%,1%)", "\x1b[31m"])
def test_a_background_that_is_no_colour_is_refused(background: str) -> None:
    with pytest.raises(
        ConfigError, match=r"dataset\.background=.*: must be a colour, such as white"
    ):
        Form(3, background=background).validate()


@pytest.mark.parametrize("orientation", TURNED)
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_images_are_turned_as_their_exif_orientation_says(form: str, orientation: int) -> None:
    seen = np.kron(random_pixels(2, 3), np.ones((8, 8), dtype=np.uint8))  # blocks that JPEG keeps
    seen = np.repeat(seen[..., None], 3, axis=2)
    stored = Image.fromarray(np.ascontiguousarray(TURNED[orientation](seen)))
    options: dict[str, dict[str, Any]] = {
        "WEBP": {"lossless": True},
        "JPEG": {"quality": 100, "subsampling": 0},
    }
    options["TIFF"] = {"tiffinfo": {0x0112: orientation}}
    how = {"exif": exif(orientation)} if form != "TIFF" else {}
    decoded = decode(saved(stored, form, **options.get(form, {}), **how), Form(3))
    assert np.abs(decoded.pixels.astype(int) - seen).max() <= (2 if form == "JPEG" else 0)
    assert ("turned" in decoded.traits) is (orientation != 1)


def test_named_data_sets_stay_as_they_were_read() -> None:
    wide = random_pixels(2, 3, 3)
    content = saved(Image.fromarray(wide), "PNG", exif=exif(6))
    assert np.array_equal(decode(content, Form(3, upright=False)).pixels, wide)


@pytest.mark.parametrize("damage", [b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"\xff" * 40])
def test_damaged_metadata_say_nothing(damage: bytes) -> None:
    content = saved(Image.fromarray(flat(9, 4)), "WEBP", lossless=True, exif=damage)
    assert (decode(content, Form(3)).pixels == 9).all()


@pytest.mark.parametrize("form", ["GIF", "PNG", "TIFF", "WEBP"])
def test_the_first_of_several_frames_is_used(form: str) -> None:
    frames = [Image.fromarray(flat(shade, 4)) for shade in (10, 200)]
    options = {"lossless": True} if form == "WEBP" else {}
    content = saved(frames[0], form, save_all=True, append_images=frames[1:], **options)
    decoded = decode(content, Form(3))
    assert (decoded.pixels == 10).all()
    assert decoded.traits == {"frames"}
    assert decode(saved(frames[0], form, **options), Form(3)).traits == set()


def sixteen_bits(value: int, transparent: bytes = b"") -> bytes:
    """A PNG file of 4x4 colour pixels of 16 bits a channel, which Pillow does not write."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        rest = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I4s", len(content), kind) + content + rest

    rows = (b"\0" + struct.pack(">H", value) * 12) * 4
    header = struct.pack(">IIBBBBB", 4, 4, 16, 2, 0, 0, 0)
    parts = [chunk(b"IHDR", header), *([chunk(b"tRNS", transparent)] if transparent else [])]
    parts += [chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def test_16_bits_a_channel_are_told_of() -> None:
    decoded = decode(sixteen_bits(0x8001), Form(3))
    assert (decoded.pixels == 0x80).all()
    assert decoded.traits == {"deep"}
    with pytest.raises(ValueError, match="a transparent colour of 16 bits a channel"):
        decode(sixteen_bits(0x8001, b"\x80\x01" * 3), Form(3, background="white"))


def test_what_else_is_told() -> None:
    wide = Image.fromarray(np.hstack([flat(0, 4), flat(200, 4), flat(0, 4)]))
    decoded = decode(saved(wide, "PNG"), Form(3, image_size=4))
    assert (decoded.traits, decoded.pixels.min()) == ({"cropped"}, 200)
    assert decode(saved(wide.convert("CMYK"), "JPEG"), Form(3)).traits == {"cmyk"}
    assert decode(png(flat(9, 4, grey=True)), Form(3)).traits == {"grey"}
    assert decode(png(flat(9, 4, grey=True)), Form(1)).traits == set()
    assert decode(jpeg(flat(9, 4)), Form(3, image_size=2)).traits == set()
