"""Which edits of a user's own code are told apart, and which leave results where they are."""

import itertools
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sanity.identity.reach import Reach

Files = dict[str, str]
numbers = itertools.count()

MINE = '''
"""A pruner."""
import logging
from dataclasses import dataclass, field

import helper
from helper import sign as flipped
from package import inner
from package.deep import Base

log = logging.getLogger(__name__)
POWER = 2.0


def unrelated(x):
    return x


def magnitude(weights):
    """How large they are."""
    return abs(weights) ** POWER


@dataclass
class Mine(Base):
    """Scores."""

    power: float = 1.0

    def score(self, scoring):
        # a comment
        from late import shift

        return helper.scale(flipped(magnitude(scoring))) + inner.offset() + shift()


if __name__ == "__main__":
    print(Mine())
'''
HELPER = """
def sign(x):
    return +x

def scale(x):
    return factor() * x

def factor():
    return 3

def elsewhere():
    return 5
"""
FILES: Files = {
    "mine.py": MINE,
    "helper.py": HELPER,
    "late.py": "from package.deep import far\n\ndef shift():\n    return far()\n",
    "package/__init__.py": "",
    "package/inner.py": "def offset():\n    return 1\n\ndef other():\n    return 2\n",
    "package/deep.py": (
        "from . import inner as _inner\nfrom .last import VALUE\n\n"
        "class Base:\n    shift = VALUE\n\ndef far():\n    return _inner.other()\n"
    ),
    "package/last.py": "VALUE = 7\nOTHER = 8\n",
}

Digest = Callable[..., str]


@pytest.fixture
def digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Digest:
    """The digest of ``mine.Mine`` after edits: (file, old, new), or (file, None, whole text)."""

    def make(*edits: tuple[str, str | None, str]) -> str:
        files = dict(FILES)
        for name, old, new in edits:
            assert old is None or old in files[name]
            files[name] = new if old is None else files[name].replace(old, new)
        root = tmp_path / str(next(numbers))
        for name, text in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        with monkeypatch.context() as patched:
            patched.setattr(sys, "path", [str(root), *sys.path])
            found = Reach()
            found.attribute("mine", ("Mine",))
        assert not {"mine", "helper", "late", "package"} & sys.modules.keys(), "nothing is run"
        return found.digest()

    return make


@pytest.mark.parametrize(
    "edit",
    [
        ("mine.py", "# a comment", "# another one, longer"),
        ("mine.py", "How large they are.", "Their size."),
        ("mine.py", "\n\n\ndef unrelated", "\n\n\n\n\n\ndef unrelated"),
        ("mine.py", "def unrelated(x):\n    return x", "def unrelated(x):\n    return -x"),
        ("mine.py", "POWER = 2.0", "POWER = 2.0\nSPARE = 4"),
        ("mine.py", "print(Mine())", "print(Mine(2.0))"),
        ("mine.py", "@dataclass\n", "class More(Exception):\n    pass\n\n\n@dataclass\n"),
        (
            "mine.py",
            "def unrelated",
            "@dataclass\nclass Other:\n    values: list = field(default_factory=list)\n\n"
            "    def score(self):\n        return helper.elsewhere()\n\n\ndef unrelated",
        ),
        ("mine.py", "import logging", "import logging\nimport math\nfrom torch import nn"),
        ("helper.py", "return 5", "return 6"),
        ("package/last.py", "OTHER = 8", "OTHER = 9"),
    ],
    ids=lambda edit: f"{edit[0]}: {edit[2][:30]}",
)
def test_what_changes_nothing_leaves_results_where_they_are(
    digest: Digest, edit: tuple[str, str, str]
) -> None:
    assert digest(edit) == digest()


@pytest.mark.parametrize(
    "edit",
    [
        ("mine.py", "magnitude(scoring)", "-magnitude(scoring)"),
        ("mine.py", "abs(weights)", "-abs(weights)"),
        ("mine.py", "POWER = 2.0", "POWER = 3.0"),
        ("mine.py", "power: float = 1.0", "power: float = 2.0"),
        ("mine.py", "import sign as flipped", "import factor as flipped"),
        ("mine.py", "log = ", "import random; random.seed(0)\nlog = "),
        ("mine.py", "log = ", "import helper2\nlog = "),
        ("helper.py", "return +x", "return -x"),
        ("helper.py", "return 3", "return 4"),
        ("helper.py", "def elsewhere", "sign = abs\n\ndef elsewhere"),
        ("helper.py", "def elsewhere", "print('imported')\n\ndef elsewhere"),
        ("late.py", "return far()", "return -far()"),
        ("package/__init__.py", None, "import os\nos.environ['X'] = '1'\n"),
        ("package/inner.py", "return 1", "return 2"),
        ("package/inner.py", "return 2", "return 3"),
        ("package/deep.py", "shift = VALUE", "shift = -VALUE"),
        ("package/last.py", "VALUE = 7", "VALUE = 6"),
    ],
    ids=lambda edit: f"{edit[0]}: {edit[2][:30]}",
)
def test_what_changes_a_score_is_told_apart(
    digest: Digest, edit: tuple[str, str | None, str]
) -> None:
    assert digest(edit) != digest()


@pytest.mark.parametrize(
    "use",
    [
        "from helper import *\n",
        "import helper\nfunctions = vars(helper)\n",
        "import helper\nchosen = getattr(helper, 'else' + 'where')\n",
        "import importlib\nchosen = importlib.import_module('hel' + 'per')\n",
        "import helper\nchosen = eval('helper.elsewhere')\n",
        "try:\n    from helper import elsewhere as chosen\nexcept ImportError:\n    pass\n",
        "import sys\nimport helper\nchosen = sys.modules['helper']\n",
    ],
    ids=["star", "vars", "getattr", "import_module", "eval", "try", "sys.modules"],
)
def test_where_the_source_does_not_tell_all_that_may_be_meant_counts(
    digest: Digest, use: str
) -> None:
    edit = ("mine.py", "log = ", f"{use}log = ")
    used = (
        "mine.py",
        "power: float",
        "other = elsewhere if 'elsewhere' in globals() else 0\n    power: float",
    )
    edits = (
        (edit, used)
        if "import *" in use or "chosen" not in use
        else (edit, ("mine.py", "power: float", "other = chosen\n    power: float"))
    )
    assert digest(*edits, ("helper.py", "return 5", "return 6")) != digest(*edits)


def test_where_a_module_lies_does_not_count(digest: Digest) -> None:
    assert digest() == digest(), "each time in another directory"


def test_circles_of_imports_end(digest: Digest) -> None:
    circle = ("helper.py", "def sign", "import mine\n\ndef sign")
    assert digest(circle) == digest(circle)
    assert digest(circle, ("helper.py", "return 3", "return mine.POWER")) != digest(circle)
