"""One pixel as a numba value: a vector with a lane for each image of a block, and what it can do.

``a + b``, ``a - b`` and ``a * b`` go lane by lane. A set of lanes is an integer, a bit for each.
"""

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload

from sanity.training.engines.compiled import cpu
from sanity.training.engines.sparse.vectors import FLOAT, UNALIGNED, Vector

LANES = cpu().lanes
PIXEL = Vector(LANES)
LANE_SET = types.uint16
ALL_LANES = np.uint16((1 << LANES) - 1)
_VECTOR = ir.VectorType(FLOAT, LANES)
_TRUTHS = ir.VectorType(ir.IntType(1), LANES)
_ZERO = ir.Constant(_VECTOR, [0.0] * LANES)


def _pointer(context: Any, builder: Any, kind: Any, array: Any, offset: Any) -> Any:
    from numba.np.arrayobj import make_array

    data = make_array(kind)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [offset]), _VECTOR.as_pointer())


def _set(builder: Any, truths: Any) -> Any:
    """The set of lanes in which these hold."""
    bits = builder.bitcast(truths, ir.IntType(LANES))
    return bits if LANES == 16 else builder.zext(bits, ir.IntType(16))


@intrinsic
def pixel(typing: Any, array: Any, offset: Any) -> Any:
    """The pixel at ``array[offset:]``."""

    def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        found = builder.load(_pointer(context, builder, array, *given))
        found.align = UNALIGNED
        return found

    return PIXEL(array, types.int64), code


@intrinsic
def write(typing: Any, a: Any, array: Any, offset: Any) -> Any:
    """Let ``array[offset:]`` be the pixel ``a``."""

    def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        pointer = _pointer(context, builder, array, *given[1:])
        builder.store(given[0], pointer).align = UNALIGNED
        return context.get_dummy_value()

    return types.void(PIXEL, array, types.int64), code


@intrinsic
def every_lane(typing: Any, value: Any) -> Any:
    """A pixel whose lanes are all ``value``."""

    def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        one = builder.insert_element(
            ir.Constant(_VECTOR, ir.Undefined), given[0], ir.IntType(32)(0)
        )
        first = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
        return builder.shuffle_vector(one, one, first)

    return PIXEL(types.float32), code


@intrinsic
def total(typing: Any, a: Any) -> Any:
    """The sum over the lanes of ``a``."""

    def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        kind = ir.FunctionType(FLOAT, [FLOAT, _VECTOR])
        name = f"llvm.vector.reduce.fadd.v{LANES}f32"
        reduce = cgutils.get_or_insert_function(builder.module, kind, name)
        return builder.call(reduce, [FLOAT(0.0), given[0]], fastmath=("reassoc",))

    return types.float32(PIXEL), code


@intrinsic
def positive(typing: Any, a: Any) -> Any:
    """The set of lanes in which ``a`` is above 0."""

    def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        return _set(builder, builder.fcmp_ordered(">", given[0], _ZERO))

    return LANE_SET(PIXEL), code


@intrinsic
def equal(typing: Any, a: Any, b: Any) -> Any:
    """The set of lanes in which ``a`` equals ``b``, or one of them is no number."""

    def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        return _set(builder, builder.fcmp_unordered("==", *given))

    return LANE_SET(PIXEL, PIXEL), code


@intrinsic
def larger(typing: Any, a: Any, b: Any) -> Any:
    """Lane by lane the larger one of ``a`` and ``b``, or what is no number."""

    def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        a, b = given
        above = builder.fcmp_ordered(">", b, a)
        return builder.select(builder.or_(above, builder.fcmp_unordered("uno", b, b)), b, a)

    return PIXEL(PIXEL, PIXEL), code


@intrinsic
def within(typing: Any, lanes: Any, a: Any) -> Any:
    """``a`` in the set ``lanes``, 0 elsewhere."""

    def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        bits = given[0] if LANES == 16 else builder.trunc(given[0], ir.IntType(LANES))
        return builder.select(builder.bitcast(bits, _TRUTHS), given[1], _ZERO)

    return PIXEL(LANE_SET, PIXEL), code


def _define(function: Any, instruction: str, flags: tuple[str, ...]) -> None:
    """Let pixels have the operator ``function``."""

    @intrinsic
    def operation(typing: Any, a: Any, b: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
            return getattr(builder, instruction)(*given, flags=flags)

        return PIXEL(PIXEL, PIXEL), code

    @overload(function, strict=False)
    def _known(a: Any, b: Any) -> Callable[..., Any] | None:
        if a == b == PIXEL:
            return lambda a, b: operation(a, b)
        return None


for _function, _instruction in (
    (operator.add, "fadd"),
    (operator.sub, "fsub"),
    (operator.mul, "fmul"),
):
    _define(_function, _instruction, ("contract",))
