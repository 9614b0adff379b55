"""Every data set is read from its original files, which say nothing wrong unnoticed."""

import errno
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from dataset_originals import (
    flat,
    md5,
    png,
    random_pixels,
    tiny_imagenet_files,
    write_cifar,
    write_fashion_mnist,
    write_folder,
    write_tree,
    write_zip,
)

from sanity.core.errors import ConfigError, DataError
from sanity.data import fetch, open_packed
from sanity.data.decoding import Form, decode
from sanity.data.order import fixed_order
from sanity.datasets import cifar10, tiny_imagenet
from sanity.datasets.cifar10 import Cifar10
from sanity.datasets.cifar100 import Cifar100
from sanity.datasets.digits import Digits
from sanity.datasets.fashion_mnist import FashionMnist, parse_idx
from sanity.datasets.folder import Folder
from sanity.datasets.tiny_imagenet import TinyImagenet

torchvision = pytest.importorskip("torchvision.datasets")


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Data sets of any size and content are taken for real, and no host can be reached."""
    for kind in (Cifar10, Cifar100, FashionMnist, TinyImagenet):
        monkeypatch.setattr(kind, "sizes", {})
        monkeypatch.setattr(kind, "pixel_digests", {})
        monkeypatch.setattr(kind, "label_digests", {})
    monkeypatch.setattr(TinyImagenet, "num_classes", 3)
    opener = fetch.urllib.request.urlopen

    def only_files(url: str, timeout: float) -> object:
        if url.startswith("file:"):
            return opener(url, timeout=timeout)
        raise fetch.urllib.error.URLError(OSError(errno.ENETUNREACH, "Network is unreachable"))

    monkeypatch.setattr(fetch.urllib.request, "urlopen", only_files)


def test_digits_are_a_fixed_stratified_split_of_scikit_learns(tmp_path: Path) -> None:
    splits = Digits().read(tmp_path)
    train, test = splits["train"], splits["test"]
    assert train.images.shape == (1437, 8, 8, 1)
    assert test.images.shape == (360, 8, 8, 1)
    assert train.images.max() == 16
    assert torch.bincount(test.labels).tolist() == [36, 36, 35, 37, 36, 37, 36, 36, 35, 36]
    shares = train.images / 16
    assert shares.mean().item() == pytest.approx(0.305, abs=1e-3)
    assert shares.std().item() == pytest.approx(0.376, abs=1e-3)


@pytest.mark.parametrize(("kind", "classes"), [(Cifar10, 10), (Cifar100, 100)])
def test_cifar_is_downloaded_unpacked_and_read(
    kind: type[Cifar10] | type[Cifar100],
    classes: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    original = getattr(torchvision, kind.__name__.upper())
    raw = tmp_path / "data" / "raw" / kind().name
    pixels = write_cifar(monkeypatch, original, tmp_path / "host", raw, classes)
    packed = open_packed(kind(), tmp_path / "data")
    assert np.array_equal(packed.train.images, pixels[:-1].reshape(-1, 32, 32, 3))
    assert np.array_equal(packed.test.images, pixels[-1])
    assert packed.train.labels.tolist() == list(range(classes)) * (len(pixels) - 1)
    assert packed.test.num_classes == classes
    assert capfd.readouterr().err == ""  # no progress bars where there is no terminal


def test_cifar_is_read_from_a_tree_put_there_by_hand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = tmp_path / "raw" / "cifar10"
    pixels = write_cifar(monkeypatch, torchvision.CIFAR10, tmp_path / "host", raw, 10)
    raw.mkdir(parents=True)
    (tmp_path / "host" / "cifar-10-batches-py").rename(raw / "cifar-10-batches-py")
    (tmp_path / "host" / "cifar-10-python.tar.gz").unlink()
    assert np.array_equal(Cifar10().read(tmp_path)["test"].images, pixels[-1])


def test_a_batch_cut_short_is_unpacked_again_and_never_unpickled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = tmp_path / "raw" / "cifar10"
    pixels = write_cifar(monkeypatch, torchvision.CIFAR10, tmp_path / "host", raw, 10)
    Cifar10().read(tmp_path)
    for name in ("data_batch_3", "batches.meta"):
        batch = raw / "cifar-10-batches-py" / name
        batch.write_bytes(batch.read_bytes()[:100])
        assert np.array_equal(Cifar10().read(tmp_path)["train"].images[20:30], pixels[2])


def test_an_archive_without_the_right_files_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_cifar(monkeypatch, torchvision.CIFAR10, tmp_path / "host", tmp_path, 10)
    archive = tmp_path / "host" / "cifar-10-python.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(archive.parent / "cifar-10-batches-py" / "test_batch", "cifar-10-batches-py/x")
    monkeypatch.setattr(torchvision.CIFAR10, "tgz_md5", md5(archive))
    with pytest.raises(DataError, match=r"cifar-10-batches-py is damaged: delete it and"):
        Cifar10().read(tmp_path)


def test_images_that_are_not_cifar10s_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_cifar(monkeypatch, torchvision.CIFAR10, tmp_path / "host", tmp_path, 10)
    monkeypatch.setattr(cifar10.Cifar10, "pixel_digests", {"train": "47af8b02cfcf"})
    with pytest.raises(DataError, match="these are not the pixels of cifar10"):
        open_packed(Cifar10(), tmp_path)
    assert not (tmp_path / "cifar10").exists()


@pytest.mark.parametrize(
    ("dataset", "missing"),
    [
        (Cifar10(), "cifar-10-python.tar.gz"),
        (Cifar100(), "cifar-100-python.tar.gz"),
        (FashionMnist(), "train-images-idx3-ubyte.gz"),
        (TinyImagenet(), "tiny-imagenet-200.zip"),
    ],
)
def test_without_a_network_one_line_says_what_to_put_where(
    dataset: Cifar10, missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sanity.datasets.fashion_mnist.DEBIAN", tmp_path / "no-such-package")
    with pytest.raises(DataError) as caught:
        open_packed(dataset, tmp_path)
    line = str(caught.value)
    assert "\n" not in line
    assert f"{tmp_path}/raw/{dataset.name}/{missing} is missing" in line
    assert "Network is unreachable" in line
    assert f"put {missing}" in line
    assert not list((tmp_path / "raw").rglob("*.part"))


@pytest.mark.parametrize("gzipped", [True, False])
def test_fashion_mnist_is_read_from_idx_files(
    gzipped: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = write_fashion_mnist(monkeypatch, tmp_path / "raw" / "fashion_mnist", gzipped)
    packed = open_packed(FashionMnist(), tmp_path)
    assert np.array_equal(packed.train.images.squeeze(-1), pixels)
    assert packed.test.labels.tolist() == [*range(10), *range(10)]


def test_fashion_mnist_comes_from_debians_package_or_a_download(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    pixels = write_fashion_mnist(monkeypatch, elsewhere)
    monkeypatch.setattr(torchvision.FashionMNIST, "mirrors", [f"{elsewhere.as_uri()}/"])
    downloaded = FashionMnist().read(tmp_path / "a")
    assert (tmp_path / "a" / "raw" / "fashion_mnist" / "t10k-labels-idx1-ubyte.gz").exists()
    monkeypatch.setattr("sanity.datasets.fashion_mnist.DEBIAN", elsewhere)
    packaged = FashionMnist().read(tmp_path / "b")
    assert not (tmp_path / "b").exists()
    for splits in (downloaded, packaged):
        assert np.array_equal(splits["train"].images.squeeze(-1), pixels)


@pytest.mark.parametrize("damage", [b"", b"\x1f\x8b\x08", b"nothing of the kind"])
def test_a_damaged_fashion_mnist_file_is_downloaded_again(
    damage: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere, raw = tmp_path / "elsewhere", tmp_path / "raw" / "fashion_mnist"
    pixels = write_fashion_mnist(monkeypatch, elsewhere)
    raw.mkdir(parents=True)
    (raw / "train-images-idx3-ubyte.gz").write_bytes(damage)
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte.gz is damaged"):
        FashionMnist().read(tmp_path)
    monkeypatch.setattr(torchvision.FashionMNIST, "mirrors", [f"{elsewhere.as_uri()}/"])
    assert np.array_equal(FashionMnist().read(tmp_path)["train"].images.squeeze(-1), pixels)


@pytest.mark.parametrize("content", [b"", b"\0\0\x08\x03\0\0\0\1", b"\0\0\x08\x01\0\0\0\5abc"])
def test_idx_files_that_contradict_themselves_are_refused(content: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        parse_idx(content, dimensions=1)


@pytest.mark.parametrize("form", ["zip", "tree"])
def test_tiny_imagenet_is_read_from_zip_and_tree(form: str, tmp_path: Path) -> None:
    raw, files = tmp_path / "raw" / "tiny_imagenet", tiny_imagenet_files()
    if form == "zip":
        write_zip(raw / "tiny-imagenet-200.zip", files)
    else:
        write_tree(raw / "tiny-imagenet-200", files)
    packed = open_packed(TinyImagenet(num_classes=3), tmp_path)
    order = fixed_order(12)
    shades = torch.tensor([60 * c + 10 * i for c in range(3) for i in range(4)])
    assert packed.train.images.shape == (12, 64, 64, 3)  # the grey one has three channels, too
    assert torch.equal(packed.train.images[:, 7, 7], shades[order].repeat(3, 1).T.to(torch.uint8))
    assert torch.equal(packed.train.labels, (shades // 60)[order])
    assert packed.test.images[:, 0, 0, 0].sub(5).div(60).tolist() == packed.test.labels.tolist()
    assert sorted(packed.test.labels.tolist()) == [0, 1, 2]


def test_tiny_imagenet_is_downloaded_where_its_zip_is_cut_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host, archive = tmp_path / "host.zip", tmp_path / "raw/tiny_imagenet/tiny-imagenet-200.zip"
    write_zip(host, tiny_imagenet_files())
    archive.parent.mkdir(parents=True)
    archive.write_bytes(host.read_bytes()[:-500])
    with pytest.raises(DataError, match=r"tiny-imagenet-200.zip is damaged and http"):
        TinyImagenet().read(tmp_path)
    monkeypatch.setattr(tiny_imagenet, "URL", host.as_uri())
    monkeypatch.setattr(tiny_imagenet, "MD5", md5(host))
    assert len(TinyImagenet().read(tmp_path)["train"]) == 12


@pytest.mark.parametrize("name", ["/etc/passwd", "tiny-imagenet-200/../../x", "a\\..\\b"])
def test_archives_that_point_elsewhere_are_refused(name: str, tmp_path: Path) -> None:
    archive = tmp_path / "raw/tiny_imagenet/tiny-imagenet-200.zip"
    write_zip(archive, tiny_imagenet_files())
    with zipfile.ZipFile(archive, "a") as file:
        file.writestr(name, b"root")
    with pytest.raises(DataError, match="which is no plain file below it"):
        TinyImagenet().read(tmp_path)


def test_archives_with_links_are_refused(tmp_path: Path) -> None:
    archive = tmp_path / "raw/tiny_imagenet/tiny-imagenet-200.zip"
    write_zip(archive, tiny_imagenet_files())
    link = zipfile.ZipInfo("tiny-imagenet-200/link")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(archive, "a") as file:
        file.writestr(link, "/etc/passwd")
    with pytest.raises(DataError, match="'tiny-imagenet-200/link', which is no plain file"):
        TinyImagenet().read(tmp_path)


def test_a_flipped_bit_in_the_archive_is_noticed(tmp_path: Path) -> None:
    archive = tmp_path / "raw/tiny_imagenet/tiny-imagenet-200.zip"
    files = tiny_imagenet_files()
    write_zip(archive, files)
    victim = files["train/n00000001/images/n00000001_2.JPEG"]
    content = archive.read_bytes()
    flipped = victim[:-3] + bytes([victim[-3] ^ 1]) + victim[-2:]
    assert content.count(victim) == 1
    archive.write_bytes(content.replace(victim, flipped))
    with pytest.raises(DataError, match=r"n00000001_2.JPEG: .* is damaged there"):
        TinyImagenet().read(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"val/val_annotations.txt": None}, "holds no val/val_annotations.txt"),
        ({"val/val_annotations.txt": b"val_0.JPEG\tn9\t0"}, "gives val_0.JPEG a class without"),
        ({"val/images/val_1.JPEG": None}, "names val_1.JPEG, which is not among its images"),
        ({"val/images/val_1.JPEG": b"?"}, "val_1.JPEG: not a readable image"),
        (
            {"val/images/val_1.JPEG": png(flat(3, 63))},
            r"63x63 pixels \(1, such as val/images/val_1.JPEG\)",
        ),
    ],
)
def test_what_is_wrong_with_tiny_imagenet_is_said(
    change: dict[str, bytes | None], message: str, tmp_path: Path
) -> None:
    files = {**tiny_imagenet_files(), **change}
    kept = {name: content for name, content in files.items() if content is not None}
    write_zip(tmp_path / "raw/tiny_imagenet/tiny-imagenet-200.zip", kept)
    with pytest.raises(DataError, match=message):
        TinyImagenet().read(tmp_path)


@pytest.mark.parametrize("test_name", ["test", "val"])
def test_a_folder_is_read_in_a_fixed_random_order(test_name: str, tmp_path: Path) -> None:
    write_folder(tmp_path / "pets", ("train", test_name))
    packed = open_packed(Folder(path=str(tmp_path / "pets")), tmp_path / "data")
    order = fixed_order(10)
    shades = torch.tensor([100 * c + 10 * i for c in range(2) for i in range(5)])
    for examples, offset in ((packed.train, 0), (packed.test, 5)):
        assert examples.images.shape == (10, 6, 6, 3)
        assert torch.equal(examples.images[:, 2, 3, 1], (shades[order] + offset).to(torch.uint8))
        assert torch.equal(examples.labels, (shades // 100)[order])
    assert 0 < packed.train.labels[:5].sum() < 5  # the first half is a random half
    assert packed.train.num_classes == 2


def test_folder_images_are_resized_and_turned_grey(tmp_path: Path) -> None:
    write_folder(tmp_path / "pets")
    wide = np.concatenate([flat(0, 30), flat(200, 30), flat(0, 30)], axis=1)
    write_tree(tmp_path / "pets" / "train" / "dog", {"wide.png": png(wide)})
    with pytest.raises(DataError, match=r"90x30 pixels \(1, .*wide.png\).*set dataset.image_size"):
        Folder(path=str(tmp_path / "pets")).read(tmp_path)
    read = Folder(path=str(tmp_path / "pets"), image_size=10, channels=1).read(tmp_path)
    assert read["train"].images.shape == (11, 10, 10, 1)
    middle = read["train"].images[read["train"].images.amax(dim=(1, 2, 3)) == 200]
    assert middle.float().mean() > 180  # the middle is cut out, not squashed


@pytest.mark.parametrize(
    ("change", "message", "kind"),
    [
        ({"train": "training"}, "holds no directory train", ConfigError),
        ({"test": "testing"}, r"holds no directory test \(or val\)", ConfigError),
        ({"train/cat": "train/wolf"}, "has no such class", DataError),
        ({"": "elsewhere"}, "no such directory", ConfigError),
    ],
)
def test_what_is_wrong_with_a_folder_is_said(
    change: dict[str, str], message: str, kind: type[Exception], tmp_path: Path
) -> None:
    root = tmp_path / "pets"
    write_folder(root)
    for old, new in change.items():
        (root / old).rename(root / new if old else tmp_path / new)
    with pytest.raises(kind, match=message):
        open_packed(Folder(path=str(root)), tmp_path / "data")


def test_a_class_without_images_and_an_unreadable_image_are_named(tmp_path: Path) -> None:
    root = tmp_path / "pets"
    write_folder(root)
    write_tree(root / "train", {"eel/readme.txt": b""})
    with pytest.raises(DataError, match=r"train/eel holds no images"):
        open_packed(Folder(path=str(root)), tmp_path / "data")
    write_tree(root / "train", {"eel/1.png": png(flat(1))[:60]})
    with pytest.raises(DataError, match=r"train/eel/1.png: not a readable image"):
        open_packed(Folder(path=str(root)), tmp_path / "data")
    with pytest.raises(ConfigError, match=r"dataset.num_classes=2: .* has 3 classes"):
        open_packed(Folder(path=str(root), num_classes=2), tmp_path / "data")


@pytest.mark.parametrize("channels", [1, 3])
def test_decoding_keeps_pixels(channels: int) -> None:
    pixels = random_pixels(5, 5) if channels == 1 else random_pixels(5, 5, 3)
    assert np.array_equal(decode(png(pixels), Form(channels)).pixels.squeeze(), pixels)
    assert decode(png(pixels), Form(4 - channels)).pixels.shape == (5, 5, 4 - channels)
