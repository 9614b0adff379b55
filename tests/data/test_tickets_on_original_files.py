"""From every data set's original files to a trained lottery ticket, in one run each."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torchvision.datasets as torchvision
from conftest import Run
from dataset_originals import (
    tiny_imagenet_files,
    write_cifar,
    write_fashion_mnist,
    write_folder,
    write_zip,
)
from options import options

from sanity.data import settings
from sanity.datasets.cifar10 import Cifar10
from sanity.datasets.cifar100 import Cifar100
from sanity.datasets.fashion_mnist import FashionMnist
from sanity.datasets.tiny_imagenet import TinyImagenet

Patch = pytest.MonkeyPatch


def cifar(classes: int) -> Callable[[Patch, Path], list[str]]:
    def write(patch: Patch, root: Path) -> list[str]:
        name, original = f"cifar{classes}", getattr(torchvision, f"CIFAR{classes}")
        write_cifar(patch, original, root / "host", root / "raw" / name, classes)
        return []

    return write


def fashion(patch: Patch, root: Path) -> list[str]:
    write_fashion_mnist(patch, root / "raw" / "fashion_mnist")
    return []


def tiny_imagenet(patch: Patch, root: Path) -> list[str]:
    write_zip(root / "raw" / "tiny_imagenet" / "tiny-imagenet-200.zip", tiny_imagenet_files())
    patch.setattr(settings, "FACTS", ())
    return ["dataset.num_classes=3"]


def folder(patch: Patch, root: Path) -> list[str]:
    write_folder(root / "tree", size=16)
    return [f"dataset.path={root / 'tree'}"]


WRITERS: dict[str, Callable[[Patch, Path], list[str]]] = {
    "digits": lambda patch, root: [],
    "fashion_mnist": fashion,
    "cifar10": cifar(10),
    "cifar100": cifar(100),
    "tiny_imagenet": tiny_imagenet,
    "folder": folder,
}


@pytest.mark.parametrize("dataset", options("dataset"))
def test_a_lottery_ticket_from_the_original_files(
    run: Run, dataset: str, tmp_path: Path, monkeypatch: Patch
) -> None:
    for kind in (Cifar10, Cifar100, FashionMnist, TinyImagenet):
        monkeypatch.setattr(kind, "sizes", {})
        monkeypatch.setattr(kind, "pixel_digests", {})
        monkeypatch.setattr(kind, "label_digests", {})
    own = WRITERS[dataset](monkeypatch, tmp_path)
    arguments = [f"dataset={dataset}", *own, f"data_dir={tmp_path}", "ratio=uniform"]
    record: dict[str, Any] = run("pruner=lt", *arguments)
    assert record["choices"]["dataset"] == dataset
    assert set(record["metrics"]) >= {"dense_test_accuracy", "pruned_test_accuracy"}
    assert record["ticket"]["sparsity"] == pytest.approx(0.8, abs=0.01)
    again = run("pruner=lt", *arguments)
    assert all(stage["reused"] for stage in again["stages"].values())
