"""What tools put before, within and behind names, and how the network's own names decide."""

import time
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from sanity.core.errors import DataError
from sanity.networks.foreign.names import MASK, ORIGINAL, TENSOR, Matched, Wanted, match

X = Path("x.pth")


def network() -> nn.Module:
    """Names of one, two and three words."""
    block = nn.Sequential(OrderedDict(conv=nn.Conv2d(4, 6, 3), bn=nn.BatchNorm2d(6)))
    return nn.Sequential(
        OrderedDict(conv1=nn.Conv2d(1, 4, 3, bias=False), block=block, fc=nn.Linear(6, 10))
    )


WANTED = Wanted.of(network())
SHAPES = dict(WANTED.shapes)
OWN = {(TENSOR, name): name for name in SHAPES}


def named(prefix: str) -> dict[str, tuple[int, ...]]:
    return {f"{prefix}{name}": shape for name, shape in SHAPES.items()}


def test_a_layers_parameter_is_its_weight_or_what_it_is_called() -> None:
    assert WANTED.layers == (
        ("conv1", "conv1.weight"),
        ("block.conv", "block.conv.weight"),
        ("fc", "fc.weight"),
    )
    assert WANTED.described == "Sequential with 3 prunable layers"
    assert WANTED.weights[0] == ("conv1", "conv1.weight", (4, 1, 3, 3))
    with torch.device("meta"):
        assert Wanted.of(network()) == WANTED
    assert hash(Wanted.of(network())) == hash(WANTED)


PREFIXES = [
    *("module.", "_orig_mod.", "model.", "net.", "a.b.c.", "0.", "conv1.", "weight."),
    *("module._orig_mod.", "_orig_mod.module.", "model._orig_mod.module.", "module.module."),
    *("module.model.", "model.model.", "_orig_mod.model._orig_mod.", "ema.module."),
]


@pytest.mark.parametrize("prefix", PREFIXES)
def test_what_stands_before_all_names_is_dropped_and_told(prefix: str) -> None:
    found = match(X, named(prefix), WANTED)
    assert found.parts == {part: f"{prefix}{name}" for part, name in OWN.items()}
    assert found.unknown == ()
    assert found.notes == (f"names are read without {prefix} in front of them",)


def test_the_networks_own_names_are_told_nothing() -> None:
    assert match(X, SHAPES, WANTED) == Matched(OWN, ())


@pytest.mark.parametrize("attribute", ["model", "module", "_orig_mod"])
def test_a_networks_own_attribute_stays(attribute: str) -> None:
    own = Wanted.of(nn.Sequential(OrderedDict([(attribute, network())])))
    plain = named(f"{attribute}.")
    assert match(X, plain, own).notes == ()
    assert set(match(X, plain, own).parts.values()) == set(plain)
    wrapped = {f"module.{name}": shape for name, shape in plain.items()}
    found = match(X, wrapped, own)
    assert found.notes == ("names are read without module. in front of them",)
    assert len(found.parts) == len(plain)


@pytest.mark.parametrize("word", ["module", "_orig_mod", "_fsdp_wrapped_module"])
def test_what_stands_within_names_is_dropped_and_told(word: str) -> None:
    found = match(
        X,
        {name.replace("block.", f"block.{word}."): shape for name, shape in SHAPES.items()},
        WANTED,
    )
    assert found.parts.keys() == OWN.keys()
    assert found.notes == (f"names are read without {word}. within them",)


def test_words_within_and_before_in_any_order() -> None:
    names = {
        "model._orig_mod."
        + name.replace("block.", "block.module.").replace("fc", "fc._orig_mod"): s
        for name, s in SHAPES.items()
    }
    found = match(X, names, WANTED)
    assert found.parts.keys() == OWN.keys()
    assert found.notes == (
        "names are read without model. in front of them",
        "names are read without module., _orig_mod. within them",
    )


def test_what_is_elsewhere_is_left_out_and_told() -> None:
    found = match(X, {**named("model."), "loss.weight": (10,), "n_averaged": ()}, WANTED)
    assert found.parts.keys() == OWN.keys()
    assert found.unknown == ()
    assert found.notes[1] == "what is not below model. is left out: loss.weight, n_averaged"


def test_surplus_names_beside_the_networks_own_are_unknown_and_not_left_out() -> None:
    found = match(
        X, {**SHAPES, "other.weight": (3, 3), "layer9.conv1.weight": (4, 1, 3, 3)}, WANTED
    )
    assert found.parts == OWN
    assert found.unknown == ("other.weight", "layer9.conv1.weight")
    assert not found.notes


BEHIND = {
    "conv1.weight_orig": (ORIGINAL, "conv1.weight"),
    "conv1.weight_mask": (MASK, "conv1.weight"),
    "conv1.weight.mask": (MASK, "conv1.weight"),
    "conv1.mask": (MASK, "conv1.weight"),
    "conv1_mask": (MASK, "conv1.weight"),
    "conv1": (MASK, "conv1.weight"),
    "fc.bias_mask": (MASK, "fc.bias"),
    "block.bn.weight_mask": (MASK, "block.bn.weight"),
    "block.bn": (MASK, "block.bn.weight"),
}


@pytest.mark.parametrize("prefix", ["", "module.", "model._orig_mod."])
@pytest.mark.parametrize("name", BEHIND)
def test_what_stands_behind_names_says_what_they_are(name: str, prefix: str) -> None:
    shape = SHAPES[BEHIND[name][1]]
    others = {key: size for key, size in named(prefix).items() if "conv1" not in key}
    found = match(X, {**others, f"{prefix}{name}": shape}, WANTED)
    assert found.parts[BEHIND[name]] == f"{prefix}{name}"
    assert not found.unknown


def test_layers_that_are_named_after_their_parameter() -> None:
    """As of nn.MultiheadAttention, whose weights are in no module of their own."""
    shapes = {"attn.in_proj_weight": (12, 4), "attn.out_proj.weight": (4, 4), "fc.weight": (2, 4)}
    layers = {"attn.in_proj_weight": "attn.in_proj_weight", "fc": "fc.weight"}
    own = Wanted("Net", tuple(shapes.items()), tuple(layers.items()))
    names = {
        "model.attn.in_proj_weight_orig": (12, 4),
        "model.attn.in_proj_weight_mask": (12, 4),
        "model.attn.out_proj.weight": (4, 4),
        "model.fc": (2, 4),
    }
    assert set(match(X, names, own).parts) == {
        (ORIGINAL, "attn.in_proj_weight"),
        (MASK, "attn.in_proj_weight"),
        (TENSOR, "attn.out_proj.weight"),
        (MASK, "fc.weight"),
    }


def test_a_buffer_of_the_networks_own_that_is_called_a_mask_is_none() -> None:
    own = network()
    own.register_buffer("conv1_mask", torch.zeros(2))
    own.block.register_buffer("mask", torch.zeros(2))  # type: ignore[union-attr]
    wanted = Wanted.of(own)
    assert set(match(X, dict(wanted.shapes), wanted).parts) == {
        (TENSOR, name) for name, _ in wanted.shapes
    }


def test_shapes_decide_between_networks_of_the_same_names() -> None:
    large = {name: tuple(2 * size for size in shape) for name, shape in named("teacher.").items()}
    found = match(X, {**large, **named("student.")}, WANTED)
    assert found.notes[0] == "names are read without student. in front of them"


@pytest.mark.parametrize("average", ["ema.", "model_ema.module.", "ema_model._orig_mod."])
def test_of_a_network_and_its_average_the_network_is_read(average: str) -> None:
    found = match(X, {**named(average), **named("model.")}, WANTED)
    assert found.notes[0] == "names are read without model. in front of them"
    assert f"is left out: {average}conv1.weight" in found.notes[1]


@pytest.mark.parametrize("names", [("student.", "teacher."), ("ema.a.", "ema.b.")])
def test_two_networks_that_fit_are_refused_with_their_names(names: tuple[str, str]) -> None:
    one, other = names
    with pytest.raises(DataError) as caught:
        match(X, {**named(one), **named(other)}, WANTED)
    assert str(caught.value) == (
        f"x.pth: holds several networks that fit, {one}*, {other}*, and any could be meant: save "
        "the one alone"
    )


def test_two_names_of_the_same_are_refused() -> None:
    names = {**SHAPES, "conv1.mask": (4, 1, 3, 3), "conv1.weight_mask": (4, 1, 3, 3)}
    with pytest.raises(DataError, match=r"holds conv1.weight twice: conv1.mask, conv1.weight_mask"):
        match(X, names, WANTED)


def test_names_of_another_network_are_all_unknown() -> None:
    found = match(X, {"features.0.bias": (3,), "head": (2, 2)}, WANTED)
    assert found == Matched({}, ("features.0.bias", "head"))
    assert match(X, {}, WANTED) == Matched({}, ())


def test_names_of_absurd_length_and_depth_take_no_time() -> None:
    start = time.perf_counter()
    deep, long = ".".join(["module"] * 50_000), "x" * 10**6
    names = {deep: (1,), f"{deep}.conv1.weight": (4, 1, 3, 3), long: (1,), f"{long}.fc.bias": (10,)}
    names |= {f"module._orig_mod.{number}.conv1.weight": (1,) for number in range(2000)}
    match(X, names, WANTED)
    assert time.perf_counter() - start < 5


words = st.sampled_from(
    ["module", "_orig_mod", "model", "conv1", "block", "fc", "weight", "mask", "conv", "", "a_mask"]
)
anything = st.lists(words, min_size=1, max_size=5).map(".".join) | st.text(max_size=10)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(anything, st.sampled_from([*SHAPES.values(), (), (9,)]), max_size=8))
def test_any_names_are_matched_or_refused(names: dict[str, tuple[int, ...]]) -> None:
    try:
        found = match(X, names, WANTED)
    except DataError:
        return
    told = [*found.parts.values(), *found.unknown]
    assert len(told) == len(set(told))
    assert set(told) <= set(names)
    assert all(parameter in SHAPES for _, parameter in found.parts)
    assert all(note.isprintable() for note in found.notes)
