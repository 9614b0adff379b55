"""Tiles of pixels as numba values, which live in registers while weights pass by.

A pixel is a vector of as many floats as there are images in a block: its *lanes*. A tile is
``blocks`` x ``rows`` x ``columns`` pixels of one channel. These numbers are known when a kernel is
compiled: a *shape* gives them as a tuple of tuples of these lengths (see :func:`shape`).
"""

from collections.abc import Iterator
from typing import Any

from llvmlite import ir
from numba import types
from numba.core.datamodel import models
from numba.extending import intrinsic, register_model

INT, FLOAT = ir.IntType(64), ir.FloatType()
UNALIGNED = 4  # rows begin at any float
CHAINS = 4  # sums that do not wait for each other

Shape = tuple[tuple[int, ...], ...]


def shape(blocks: int, rows: int, columns: int, lanes: int, step: int = 1) -> Shape:
    """The shape of a tile whose neighbouring pixels lie ``step`` pixels apart in memory."""
    return tuple((0,) * count for count in (blocks, rows, columns, lanes, step))


class Vector(types.Type):
    """The numba type of ``lanes`` floats."""

    def __init__(self, lanes: int) -> None:
        self.lanes = lanes
        super().__init__(name=f"Vector({lanes})")


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Vector) -> None:
        super().__init__(manager, kind, ir.VectorType(FLOAT, kind.lanes))


class _Tile:
    """Code for the pixels of a tile: where they lie, and what is done to each."""

    def __init__(self, builder: Any, kind: Any) -> None:
        self.builder = builder
        self.blocks, self.rows, self.columns, self.lanes, self.step = (one.count for one in kind)
        self.vector = ir.VectorType(FLOAT, self.lanes)
        self.type = types.UniTuple(Vector(self.lanes), self.blocks * self.rows * self.columns)

    def pointers(self, data: Any, offset: Any, block: Any, row: Any) -> Iterator[Any]:
        """The address of every pixel; what does not depend on ``offset`` is computed but once."""
        builder = self.builder
        for b in range(self.blocks):
            for r in range(self.rows):
                far = builder.add(builder.mul(block, INT(b)), builder.mul(row, INT(r)))
                first = builder.gep(builder.gep(data, [far]), [offset])
                for c in range(self.columns):
                    pointer = builder.gep(first, [INT(c * self.step * self.lanes)])
                    yield builder.bitcast(pointer, self.vector.as_pointer())

    def load(self, pointer: Any) -> Any:
        found = self.builder.load(pointer)
        found.align = UNALIGNED
        return found

    def store(self, value: Any, pointer: Any) -> None:
        self.builder.store(value, pointer).align = UNALIGNED

    def splat(self, value: Any) -> Any:
        one = self.builder.insert_element(
            ir.Constant(self.vector, ir.Undefined), value, ir.IntType(32)(0)
        )
        mask = ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), [0] * self.lanes)
        return self.builder.shuffle_vector(one, one, mask)

    def multiply_add(self, a: Any, b: Any, c: Any) -> Any:
        product = self.builder.fmul(a, b, flags=("contract",))
        return self.builder.fadd(product, c, flags=("contract",))

    def build(self, context: Any, pixels: list[Any]) -> Any:
        found = ir.Constant(context.get_value_type(self.type), ir.Undefined)
        for number, pixel in enumerate(pixels):
            found = self.builder.insert_value(found, pixel, number)
        return found


def _data(context: Any, builder: Any, kind: Any, array: Any) -> Any:
    from numba.np.arrayobj import make_array

    return make_array(kind)(context, builder, array).data


@intrinsic
def splat(typing: Any, value: Any, shape: Any) -> Any:
    """A tile of pixels that are all ``value``."""
    kind = _Tile(None, shape).type

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        tile = _Tile(builder, shape)
        pixel = tile.splat(arguments[0])
        return tile.build(context, [pixel] * kind.count)

    return kind(types.float32, shape), code


@intrinsic
def load(typing: Any, array: Any, offset: Any, block: Any, row: Any, shape: Any) -> Any:
    """The tile at ``offset``; ``block`` and ``row`` are the strides from one to the next."""
    kind = _Tile(None, shape).type

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        tile = _Tile(builder, shape)
        data, strides = _data(context, builder, array, arguments[0]), arguments[1:4]
        return tile.build(context, [tile.load(one) for one in tile.pointers(data, *strides)])

    return kind(array, types.int64, types.int64, types.int64, shape), code


@intrinsic
def store(
    typing: Any, pixels: Any, array: Any, offset: Any, block: Any, row: Any, shape: Any
) -> Any:
    """Write the tile ``pixels`` to ``offset``."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        tile = _Tile(builder, shape)
        data, strides = _data(context, builder, array, arguments[1]), arguments[2:5]
        for number, pointer in enumerate(tile.pointers(data, *strides)):
            tile.store(builder.extract_value(arguments[0], number), pointer)
        return context.get_dummy_value()

    return types.void(pixels, array, types.int64, types.int64, types.int64, shape), code


@intrinsic
def add_product(
    typing: Any, pixels: Any, weight: Any, array: Any, offset: Any, block: Any, row: Any, shape: Any
) -> Any:
    """``pixels`` plus ``weight`` times the tile at ``offset``."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        tile = _Tile(builder, shape)
        factor = tile.splat(arguments[1])
        data, strides = _data(context, builder, array, arguments[2]), arguments[3:6]
        sums = [
            tile.multiply_add(factor, tile.load(one), builder.extract_value(arguments[0], number))
            for number, one in enumerate(tile.pointers(data, *strides))
        ]
        return tile.build(context, sums)

    integers = (types.int64,) * 3
    return pixels(pixels, types.float32, array, *integers, shape), code


@intrinsic
def add_dot(
    typing: Any,
    pixels: Any,
    array: Any,
    offset: Any,
    block: Any,
    row: Any,
    sums: Any,
    place: Any,
    shape: Any,
) -> Any:
    """Add ``pixels`` times the tile at ``offset``, summed over pixels, to ``sums[place:]``."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        tile = _Tile(builder, shape)
        data, strides = _data(context, builder, array, arguments[1]), arguments[2:5]
        chains: list[Any] = []
        for number, pointer in enumerate(tile.pointers(data, *strides)):
            pixel, other = builder.extract_value(arguments[0], number), tile.load(pointer)
            if number < CHAINS:
                chains.append(builder.fmul(pixel, other))
            else:
                chain = number % CHAINS
                chains[chain] = tile.multiply_add(pixel, other, chains[chain])
        while len(chains) > 1:
            pairs = zip(chains[::2], chains[1::2], strict=False)
            odd = chains[-1:] if len(chains) % 2 else []
            chains = [builder.fadd(*pair) for pair in pairs] + odd
        target = builder.gep(_data(context, builder, sums, arguments[5]), [arguments[6]])
        target = builder.bitcast(target, tile.vector.as_pointer())
        tile.store(builder.fadd(tile.load(target), chains[0]), target)
        return context.get_dummy_value()

    integers = (types.int64,) * 3
    return types.void(pixels, array, *integers, sums, types.int64, shape), code


@intrinsic
def atomic_add(typing: Any, array: Any, place: Any, value: Any) -> Any:
    """Add to an int64 that other threads see at once; gives what it was before."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = builder.gep(_data(context, builder, array, arguments[0]), [arguments[1]])
        return builder.atomic_rmw("add", pointer, arguments[2], "seq_cst")

    return types.int64(array, types.int64, types.int64), code
