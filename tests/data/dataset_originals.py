"""Tiny data sets in the original on-disk formats, and a toy data set that counts its readings."""

import gzip
import hashlib
import io
import pickle
import struct
import tarfile
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from sanity.data import open_packed
from sanity.datasets import fashion_mnist
from sanity.datasets.base import Dataset, Examples


@dataclass
class Toy(Dataset):
    """Random images with balanced classes; ``log`` gets a line each time they are read."""

    name: str = "toy"
    num_classes: int | None = 2
    channels: int = 1
    image_size: int | None = 4
    mean: tuple[float, ...] | None = (0.5,)
    std: tuple[float, ...] | None = (0.5,)
    log: str = ""
    seconds: float = 0.0

    @property
    def own_settings(self) -> dict[str, Any]:
        """None: where it logs and how long it takes changes nothing that is read."""
        return {}

    def read(self, data_dir: Path) -> dict[str, Examples]:
        with Path(self.log or data_dir / "log").open("a") as log:
            log.write("read\n")
        time.sleep(self.seconds)
        return {"train": toy_examples(20), "test": toy_examples(10)}


def toy_examples(count: int, size: int = 4) -> Examples:
    images = torch.randint(
        0, 256, (count, size, size, 1), generator=torch.Generator().manual_seed(count)
    )
    return Examples(images.to(torch.uint8), torch.arange(count) % 2, 2)


def assert_is_toy(data_dir: Path) -> None:
    packed = open_packed(Toy(), data_dir)
    for examples, count in ((packed.train, 20), (packed.test, 10)):
        assert torch.equal(examples.images, toy_examples(count).images)
        assert torch.equal(examples.labels, toy_examples(count).labels)
        assert examples.num_classes == 2


def overwrite(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def times_read(data_dir: Path) -> int:
    log = data_dir / "log"
    return len(log.read_text().splitlines()) if log.exists() else 0


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


def random_pixels(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def write_cifar(
    monkeypatch: pytest.MonkeyPatch, original: Any, host: Path, raw: Path, classes: int
) -> np.ndarray:
    """Put a tiny CIFAR on a "host" and let torchvision's class expect it; returns its pixels.

    Every batch holds one image of each class; planes are red, green, blue, row by row.
    """
    label_key = "labels" if classes == 10 else "fine_labels"
    names = [name for name, _ in original.train_list + original.test_list]
    pixels = random_pixels(len(names), classes, 3 * 32 * 32)
    tree = host / original.base_folder
    tree.mkdir(parents=True)
    for name, data in zip(names, pixels, strict=True):
        (tree / name).write_bytes(pickle.dumps({"data": data, label_key: list(range(classes))}))
    meta = tree / original.meta["filename"]
    meta.write_bytes(pickle.dumps({original.meta["key"]: [str(i) for i in range(classes)]}))
    archive = host / original.filename
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(tree, arcname=original.base_folder)
    for attribute in ("train_list", "test_list"):
        listed = [[name, md5(tree / name)] for name, _ in getattr(original, attribute)]
        monkeypatch.setattr(original, attribute, listed)
    monkeypatch.setattr(original, "meta", original.meta | {"md5": md5(meta)})
    monkeypatch.setattr(original, "tgz_md5", md5(archive))
    monkeypatch.setattr(original, "url", archive.as_uri())
    return pixels.reshape(len(names), classes, 3, 32, 32).transpose(0, 1, 3, 4, 2)


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">{1 + array.ndim}I", 0x0800 + array.ndim, *array.shape) + array.tobytes()


def write_fashion_mnist(
    monkeypatch: pytest.MonkeyPatch, directory: Path, gzipped: bool = True
) -> np.ndarray:
    """Put tiny idx files into ``directory`` and make their digests the known ones.

    Returns the training pixels; those of the test images are their negatives.
    """
    from torchvision.datasets import FashionMNIST

    pixels = random_pixels(20, 28, 28)
    labels = (np.arange(20) % 10).astype(np.uint8)
    contents, resources = {}, []
    directory.mkdir(parents=True, exist_ok=True)
    for prefix, images in (("train", pixels), ("t10k", 255 - pixels)):
        contents[f"{prefix}-images-idx3-ubyte"] = idx(images)
        contents[f"{prefix}-labels-idx1-ubyte"] = idx(labels)
    for name, content in contents.items():
        path = directory / (f"{name}.gz" if gzipped else name)
        path.write_bytes(gzip.compress(content) if gzipped else content)
        resources.append((f"{name}.gz", md5(path)))
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    monkeypatch.setattr(fashion_mnist, "CONTENTS", digests)
    monkeypatch.setattr(fashion_mnist, "DEBIAN", directory / "no-such-package")
    monkeypatch.setattr(FashionMNIST, "resources", resources)
    return pixels


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def jpeg(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=95)
    return file.getvalue()


def flat(shade: int, size: int = 64, grey: bool = False) -> np.ndarray:
    """An image of one shade, which JPEG keeps."""
    return np.full((size, size) if grey else (size, size, 3), shade, dtype=np.uint8)


def tiny_imagenet_files(classes: int = 3, per_class: int = 4) -> dict[str, bytes]:
    """The files of the archive, named from its root; image i of class c has shade 60 c + 10 i.

    The first training image is grey, as about 2% of the real ones are.
    """
    wnids = [f"n0000000{c}" for c in range(classes)]
    files = {"wnids.txt": "\n".join(reversed(wnids)).encode()}
    annotations = []
    for c, wnid in enumerate(wnids):
        for i in range(per_class):
            image = jpeg(flat(60 * c + 10 * i, grey=c == i == 0))
            files[f"train/{wnid}/images/{wnid}_{i}.JPEG"] = image
        files[f"train/{wnid}/{wnid}_boxes.txt"] = b"not an image"
        files[f"val/images/val_{c}.JPEG"] = jpeg(flat(60 * c + 5))
        annotations.append(f"val_{c}.JPEG\t{wnid}\t0\t0\t63\t63")
    files["val/val_annotations.txt"] = "\n".join(annotations).encode()
    files["test/images/test_0.JPEG"] = jpeg(flat(1))
    return files


def write_tree(root: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def write_zip(path: Path, files: dict[str, bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(f"tiny-imagenet-200/{name}", content)


def write_folder(root: Path, splits: tuple[str, str] = ("train", "test"), size: int = 6) -> None:
    """Classes "cat" (shades 0, 10, ...) and "dog" (100, 110, ...), 5 images each a split.

    Those of the second split are lighter by 5.
    """
    for offset, split in zip((0, 5), splits, strict=True):
        for c, name in enumerate(("cat", "dog")):
            images = {f"{i}.png": png(flat(100 * c + 10 * i + offset, size)) for i in range(5)}
            write_tree(root / split / name, images | {"notes.txt": b"no image"})
