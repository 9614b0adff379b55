"""Whatever stands in packed files and their manifest, the data are right or refused in one line."""

import hashlib
import json
import struct
import tempfile
from pathlib import Path
from typing import Any

import pytest
import torch
import watching
from damage import assert_is_a_line, damaged, places, replaced, values
from dataset_originals import Toy, toy_examples
from hypothesis import given, settings
from hypothesis import strategies as st

from sanity.core.errors import ConfigError, DataError, StoreError
from sanity.data import open_packed, packing
from sanity.datasets.base import Examples, Packed

REFUSED = (ConfigError, DataError, StoreError)
ORIGINAL = {"train": toy_examples(20), "test": toy_examples(10)}


class Known(Toy):
    """The toy with published pixels and labels."""

    sizes = {"train": 20, "test": 10}  # noqa: RUF012


def digests(name: str) -> dict[str, str]:
    return {
        split: hashlib.sha256(getattr(examples, name).numpy().tobytes()).hexdigest()
        for split, examples in ORIGINAL.items()
    }


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The packed toy, by file name."""
    directory = tmp_path_factory.mktemp("toy")
    open_packed(Toy(), directory)
    return {path.name: path.read_bytes() for path in (directory / "toy").iterdir()}


@pytest.fixture(autouse=True)
def published(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Known, "pixel_digests", digests("images"))
    monkeypatch.setattr(Known, "label_digests", digests("labels"))
    # The disk's own time, of which each example would take some milliseconds.
    monkeypatch.setattr("sanity.core.files.os.fsync", lambda handle: None)
    monkeypatch.setattr(packing, "fsync_directory", lambda path: None)


def opened(files: dict[str, bytes], dataset: Toy) -> Packed | None:
    """The data set from these files, None where it is refused as it should be."""
    with tempfile.TemporaryDirectory() as directory:
        home = Path(directory) / "toy"
        home.mkdir()
        for name, content in files.items():
            (home / name).write_bytes(content)
        with watching.only_below(directory):
            try:
                return open_packed(dataset, Path(directory))
            except REFUSED as error:
                assert_is_a_line(error)
                return None


def assert_is_original(packed: Packed) -> None:
    for split, examples in ORIGINAL.items():
        found: Examples = getattr(packed, split)
        assert torch.equal(found.images, examples.images)
        assert torch.equal(found.labels, examples.labels)
        assert found.num_classes == 2
    assert packed.overlap == 0


def assert_has_form(packed: Packed) -> None:
    for examples in (packed.train, packed.test):
        assert examples.images.dtype == torch.uint8
        assert examples.images.shape == (len(examples.labels), 4, 4, 1)
        assert examples.labels.dtype == torch.int64
        assert set(examples.labels.tolist()) <= {0, 1}
        assert len(examples) > 0


def with_header(content: bytes, header: Any) -> bytes:
    """A safetensors file with another header; its length is right."""
    size = struct.unpack("<Q", content[:8])[0]
    text = json.dumps(header).encode("utf-8", "surrogatepass")
    return struct.pack("<Q", len(text)) + text + content[8 + size :]


def header_of(content: bytes) -> Any:
    size = struct.unpack("<Q", content[:8])[0]
    return json.loads(content[8 : 8 + size])


FUZZ = settings(max_examples=watching.examples(250), deadline=None)
HEADER_PLACES = [
    *(("images",), ("labels",)),
    *(
        (tensor, key)
        for tensor in ("images", "labels")
        for key in ("dtype", "shape", "data_offsets")
    ),
    *(
        (tensor, key, i)
        for tensor, n in (("images", 4), ("labels", 1))
        for key in ("shape",)
        for i in range(n)
    ),
    *((tensor, "data_offsets", i) for tensor in ("images", "labels") for i in range(2)),
]
header_values = values | st.sampled_from(["U8", "I64", "F8_E4M3", "BF16", "BOOL", "F4", "C64"])


@FUZZ
@given(data=st.data(), split=st.sampled_from(["train", "test"]))
def test_damaged_files_that_a_manifest_vouches_for(
    files: dict[str, bytes], data: st.DataObject, split: str
) -> None:
    name = f"{split}.safetensors"
    content = data.draw(damaged(files[name]))
    packed = opened({**files, name: content}, Toy())
    assert (packed is not None) is (content == files[name])


@FUZZ
@given(data=st.data(), split=st.sampled_from(["train", "test"]), known=st.booleans())
def test_damaged_files_that_nobody_vouches_for(
    files: dict[str, bytes], data: st.DataObject, split: str, known: bool
) -> None:
    name = f"{split}.safetensors"
    content = data.draw(damaged(files[name], most=2))
    found = {
        "train.safetensors": files["train.safetensors"],
        "test.safetensors": files["test.safetensors"],
    }
    packed = opened({**found, name: content}, Known() if known else Toy())
    if packed is not None:
        (assert_is_original if known else assert_has_form)(packed)


@FUZZ
@given(
    place=st.sampled_from(HEADER_PLACES),
    value=header_values,
    gone=st.booleans(),
    known=st.booleans(),
)
def test_headers_that_say_something_else(
    files: dict[str, bytes], place: tuple[Any, ...], value: Any, gone: bool, known: bool
) -> None:
    name = "train.safetensors"
    header = replaced(header_of(files[name]), place, value, gone)
    changed = {
        name: with_header(files[name], header),
        "test.safetensors": files["test.safetensors"],
    }
    packed = opened(changed, Known() if known else Toy())
    if packed is not None:
        (assert_is_original if known else assert_has_form)(packed)


@FUZZ
@given(data=st.data(), value=values, gone=st.booleans(), signed=st.booleans())
def test_manifests_that_say_something_else(
    files: dict[str, bytes], data: st.DataObject, value: Any, gone: bool, signed: bool
) -> None:
    """``signed`` ones have the digest of their wrong contents, the others none."""
    facts = json.loads(files["manifest.json"])
    wanted = opened(files, Toy())
    assert wanted is not None
    del facts["digest"]
    changed = replaced(facts, data.draw(st.sampled_from(places(facts))), value, gone)
    if signed:
        text = json.dumps(changed, sort_keys=True)
        changed["digest"] = hashlib.sha256(text.encode()).hexdigest()
    packed = opened({**files, "manifest.json": json.dumps(changed).encode()}, Toy())
    if packed is not None and not signed:
        assert_is_original(packed)
        assert packed.fingerprint == wanted.fingerprint


@FUZZ
@given(data=st.data())
def test_damaged_manifests(files: dict[str, bytes], data: st.DataObject) -> None:
    content = data.draw(damaged(files["manifest.json"]))
    packed = opened({**files, "manifest.json": content}, Toy())
    if packed is not None:
        assert_is_original(packed)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"format": 1, "files": ' + "9" * 5000 + "}",
        '{"format": NaN}',
        '{"format": 1, "files": {"train": {"\\u001b[31m": 1}}}',
        " " * (2 << 20),
        '{"format": "' + "x" * 10_000 + '"}',
        "\ufeff{}",
    ],
)
def test_manifests_made_to_harm(text: str, files: dict[str, bytes]) -> None:
    assert opened({**files, "manifest.json": text.encode()}, Toy()) is None
