"""Whatever an image file holds, it is decoded or refused in one line; nothing else happens."""

import io
from typing import Any

import numpy as np
import pytest
import watching
from damage import assert_is_a_line, damaged
from dataset_originals import random_pixels
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sanity.data import decoding
from sanity.data.decoding import FORMATS, Form, decode

COLOUR = Image.fromarray(random_pixels(5, 4, 3))
EXIF = b"Exif\0\0II*\0\x08\0\0\0\0\0"
KINDS: list[tuple[str, str, dict[str, Any]]] = [  # format, Pillow's mode, options
    *((form, mode, {}) for form in sorted(set(FORMATS.values())) for mode in ("L", "RGB")),
    *((form, mode, {}) for form in ("BMP", "GIF", "PNG", "TIFF") for mode in ("1", "P")),
    *((form, "RGBA", {}) for form in ("BMP", "PNG", "TIFF", "WEBP")),
    ("GIF", "P", {"save_all": True, "append_images": [COLOUR.convert("P")], "transparency": 3}),
    ("JPEG", "RGB", {"progressive": True, "exif": EXIF}),
    ("JPEG", "CMYK", {}),
    ("PNG", "P", {"transparency": 0}),
    ("TIFF", "RGB", {"compression": "tiff_lzw"}),
    ("TIFF", "RGB", {"compression": "tiff_adobe_deflate"}),
    ("TIFF", "RGB", {"compression": "jpeg"}),
    ("TIFF", "1", {"compression": "group4"}),
    ("WEBP", "RGB", {"lossless": True, "exif": EXIF}),
]


def saved(form: str, mode: str, options: dict[str, Any]) -> bytes:
    file = io.BytesIO()
    COLOUR.convert(mode).save(file, form, **options)
    return file.getvalue()


VALID = [saved(*kind) for kind in KINDS]


def check(content: bytes, channels: int, image_size: int | None) -> None:
    with watching.only_below():
        try:
            pixels = decode(content, Form(channels, image_size, "white")).pixels
        except ValueError as error:
            assert_is_a_line(error, "not a readable image (")
            return
    assert pixels.dtype == np.uint8
    assert pixels.ndim == 3
    assert pixels.shape[2] == channels
    assert pixels.shape[0] * pixels.shape[1] <= decoding.PIXELS
    assert image_size is None or pixels.shape[:2] == (image_size, image_size)


@pytest.mark.parametrize("content", VALID)
def test_every_form_is_decoded(content: bytes) -> None:
    assert decode(content, Form(3, None, "white")).pixels.shape[2] == 3
    assert decode(content, Form(1, 2, "white")).pixels.shape == (2, 2, 1)


@settings(max_examples=watching.examples(600), deadline=None)
@given(
    content=st.sampled_from(VALID).flatmap(damaged),
    channels=st.sampled_from([1, 3]),
    image_size=st.sampled_from([None, 3]),
)
def test_damaged_images(content: bytes, channels: int, image_size: int | None) -> None:
    check(content, channels, image_size)


@settings(max_examples=watching.examples(200), deadline=None)
@given(
    start=st.sampled_from([b"", *(content[:size] for content in VALID for size in (4, 12, 30))]),
    rest=st.binary(max_size=200),
)
def test_random_bytes(start: bytes, rest: bytes) -> None:
    check(start + rest, 3, None)
