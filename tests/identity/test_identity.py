"""What stands beside a component's settings in keys: code, and files by their contents."""

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import processes
import pytest
import torch

from sanity.core.config import PROJECT
from sanity.core.errors import ConfigError
from sanity.identity import building, code, code_of, loading, patches, sources, watched
from sanity.pruners.random import Random


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    before = {*sys.modules}
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in {*sys.modules} - before:
        del sys.modules[name]


def kind_of(module: str) -> type:
    return type(importlib.import_module(module).Part())


def test_components_of_this_package_are_named_by_their_settings_alone() -> None:
    facts, found = code_of({"_target_": "sanity.pruners.random.Random"}, Random)
    assert facts == {}
    assert not found.modules


def test_files_that_settings_name_count_by_their_contents(place: Path) -> None:
    (place / "parts_a.py").write_text("class Part:\n    pass\n")
    kind, file = kind_of("parts_a"), place / "w.pt"
    file.write_text("1")
    values = {"_target_": "parts_a.Part", "deep": [{"path": str(file)}], "other": "no file"}
    facts, found = code_of(values, kind)
    assert list(facts["files"]) == ["setting deep[0].path"]
    assert list(found.files) == [file]
    file.write_text("2")
    other, _ = code_of(values, kind)
    assert other["files"] != facts["files"]
    assert other["source"] == facts["source"]


def test_files_that_are_read_count_wherever_they_lie(place: Path) -> None:
    (place / "parts_b.py").write_text("class Part:\n    pass\n")
    kind = kind_of("parts_b")
    digests = []
    for name, text in (("a", "1"), ("b", "1"), ("a", "2")):
        (place / name).write_text(text)
        with watched() as reads:
            (place / name).open().close()
            sys.modules["json"].loads("1")
        assert reads.files == {place / name}
        facts, _ = code_of({"_target_": "parts_b.Part"}, kind, reads)
        digests.append(facts["files"])
    assert digests[0] == digests[1] != digests[2]


def test_writing_is_no_reading_and_inner_reads_count_outside(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    with watched() as outer:
        (tmp_path / "b").write_text("1")
        with watched() as inner:
            (tmp_path / "a").read_text()
    assert inner.files == outer.files == {tmp_path / "a"}


def test_what_reads_by_itself_is_told(place: Path, caplog: pytest.LogCaptureFixture) -> None:
    text = "from safetensors import safe_open\n\n\nclass Part:\n    read = [safe_open]\n"
    (place / "parts_c.py").write_text(text)
    code_of({"_target_": "parts_c.Part"}, kind_of("parts_c"))
    assert "parts_c uses safe_open: results do not tell what it finds there" in caplog.text


def test_files_that_such_code_names_count(place: Path, caplog: pytest.LogCaptureFixture) -> None:
    text = "from safetensors import safe_open\n\n\nclass Part:\n    read = [safe_open, 'w.bin']\n"
    (place / "parts_g.py").write_text(text)
    (place / "w.bin").write_text("1")
    kind = kind_of("parts_g")
    facts, _ = code_of({"_target_": "parts_g.Part"}, kind)
    assert list(facts["files"]) == ["text w.bin"]
    (place / "w.bin").write_text("2")
    assert code_of({"_target_": "parts_g.Part"}, kind)[0] != facts
    assert not caplog.text


def test_the_flip_of_a_sign_within_a_second_is_seen(place: Path) -> None:
    """Python's bytecode cache would take one for the other: same size, same second."""
    loading.install()
    path = place / "parts_d.py"
    for sign in ("+", "-"):
        path.write_text(f"class Part:\n    sign = {sign}1\n")
        sys.modules.pop("parts_d", None)
        importlib.invalidate_caches()
        assert importlib.import_module("parts_d").Part.sign == int(f"{sign}1")


def test_an_import_gets_what_was_looked_at_before(place: Path) -> None:
    loading.install()
    path = place / "parts_e.py"
    path.write_text("VALUE = 1\n")
    sources.source(path)
    path.write_text("VALUE = 2\n")
    assert importlib.import_module("parts_e").VALUE == 1
    assert importlib.reload(sys.modules["parts_e"]).VALUE == 2, "who reloads wants the new one"


def test_a_module_that_was_edited_after_its_import_is_refused(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a notebook, which has imported it before anything of this package did."""
    monkeypatch.setattr(
        sys, "meta_path", [one for one in sys.meta_path if type(one).__module__ != loading.__name__]
    )
    path = place / "parts_f.py"
    path.write_text("class Part:\n    def score(self):\n        return 1\n")
    kind = kind_of("parts_f")
    path.write_text("# shifted\nclass Part:\n    def score(self):\n        return 1\n")
    code_of({"_target_": "parts_f.Part"}, kind)
    code._reached.cache_clear()
    sources._sources.clear()
    path.write_text("class Part:\n    def score(self):\n        return 2\n")
    with pytest.raises(ConfigError, match="was edited after it had been imported"):
        code_of({"_target_": "parts_f.Part"}, kind)


CACHED = """
import functools
from pathlib import Path


@functools.cache
def table():
    return Path(__file__).with_name("table").with_suffix(".txt").read_text()


class First:
    @functools.cached_property
    def sign(self):
        return table()

    @staticmethod
    @functools.lru_cache(maxsize=1)
    def other():
        return table()


@functools.cache
def registry():
    return {}


registry()["known"] = 1


class Second(First):
    pass
"""


@pytest.mark.parametrize("read", [lambda part: part.sign, lambda part: part.other()])
def test_what_a_cached_function_reads_counts_for_all_that_call_it(
    place: Path, read: Callable[[Any], str]
) -> None:
    loading.install()
    (place / "parts_h.py").write_text(CACHED)
    (place / "table.txt").write_text("1")
    module = importlib.import_module("parts_h")
    for kind in (module.First, module.Second, module.First):
        with building() as reads:
            assert read(kind()) == "1"
        assert reads.files == {place / "table.txt"}
        assert module.registry() == {"known": 1}, "it has read nothing"


CHANGES = {
    "torch.nn.functional.relu": "import torch.nn.functional as F\nF.relu = F.relu6\n",
    "torch.nn.Linear": "from torch import nn\nnn.Linear = type('Mine', (nn.Linear,), {})\n",
    "torch.autograd.grad": "import torch\ntorch.autograd.grad = print\n",
    "torch.nn.modules.conv.Conv2d.forward": (
        "import functools\nfrom torch import nn\n"
        "nn.Conv2d.forward = functools.partialmethod(nn.Identity.forward)\n"
    ),
    "torch.Tensor.relu": "import torch\ntorch.Tensor.relu = lambda self: self\n",
    "torch.nn.modules.linear.Linear.forward": (
        "from torch import nn\nsetattr(nn.Linear, 'forward', nn.Identity.forward)\n"
    ),
    "sanity.pruning.selection.select": (
        "from sanity.pruning import selection\nselection.select = print\n"
    ),
    "torch.get_default_dtype()": "import torch\ntorch.set_default_dtype(torch.float64)\n",
    "torch.nn.modules.module._global_forward_hooks": (
        "from torch.nn.modules.module import register_module_forward_hook\n"
        "HANDLE = register_module_forward_hook(lambda *_: None)\n"
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_a_module_changes_for_the_whole_process_is_told(place: Path, name: str) -> None:
    """Each in a process of its own, which the change is to end with."""
    (place / "inner.py").write_text(CHANGES[name])
    (place / "parts_i.py").write_text("import inner\n\nclass Part:\n    pass\n")
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); import sanity.pipeline\n"
        "from sanity.identity import loading, patches\n"
        "loading.install(); import parts_i\n"
        "print(*patches.changes([]), sep='\\n'); assert not patches.changes(['inner'])"
    )
    (place / "program.py").write_text(program)
    done = processes.run([sys.executable, str(place / "program.py"), str(place)], PROJECT)
    assert done.returncode == 0, done.stderr
    assert f"runs with {name} as inner has changed it for the whole process\n" in done.stdout
    assert "parts_i" not in done.stdout


def test_what_changes_nothing_is_not_told(place: Path) -> None:
    loading.install()
    (place / "parts_j.py").write_text(
        "import torch._dynamo, torchvision.models, xml.dom.minidom\nfrom torch import nn\n"
        "class Part(nn.Linear):\n    def forward(self, x):\n        return x\n"
        "nn.Part = Part\n"
    )
    before = patches.changes([])
    try:
        importlib.import_module("parts_j")
        assert patches.changes([]) == before
    finally:
        delattr(torch.nn, "Part")
