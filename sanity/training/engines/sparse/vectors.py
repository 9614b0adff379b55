"""Tiles of pixels as numba values, which live in registers while weights pass by.

A pixel is a vector of as many floats as there are images in a block: its *lanes*. A tile is
``channels`` x ``rows`` x ``columns`` pixels. These numbers are known when a kernel is compiled: a
*shape* gives them as a tuple of tuples of these lengths (see :func:`shape`).
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


def shape(channels: int, rows: int, columns: int, lanes: int, step: int = 1) -> Shape:
    """The shape of a tile whose neighbouring pixels lie ``step`` pixels apart in memory."""
    return tuple((0,) * count for count in (channels, rows, columns, lanes, step))


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
        self.channels, self.rows, self.columns, self.lanes, self.step = (one.count for one in kind)
        self.vector = ir.VectorType(FLOAT, self.lanes)
        self.type = types.UniTuple(Vector(self.lanes), self.channels * self.area)

    @property
    def area(self) -> int:
        return int(self.rows * self.columns)

    def pointers(self, data: Any, offset: Any, channel: Any, row: Any) -> Iterator[Any]:
        """The address of every pixel; what does not depend on ``offset`` is computed but once."""
        builder = self.builder
        for k in range(self.channels):
            for r in range(self.rows):
                far = builder.add(builder.mul(channel, INT(k)), builder.mul(row, INT(r)))
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

    def total(self, summands: list[Any]) -> Any:
        while len(summands) > 1:
            pairs = zip(summands[::2], summands[1::2], strict=False)
            odd = summands[-1:] if len(summands) % 2 else []
            summands = [self.builder.fadd(*pair) for pair in pairs] + odd
        return summands[0]


def _build(context: Any, builder: Any, kind: Any, pixels: list[Any]) -> Any:
    """The tuple of type ``kind``."""
    found = ir.Constant(context.get_value_type(kind), ir.Undefined)
    for number, pixel in enumerate(pixels):
        found = builder.insert_value(found, pixel, number)
    return found


def _data(context: Any, builder: Any, kind: Any, array: Any) -> Any:
    from numba.np.arrayobj import make_array

    return make_array(kind)(context, builder, array).data


@intrinsic
def splat(typing: Any, values: Any, place: Any, shape: Any) -> Any:
    """A tile whose k-th channel is ``values[place + k]`` everywhere."""
    kind = _Tile(None, shape).type

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        tile = _Tile(builder, shape)
        first = builder.gep(_data(context, builder, values, arguments[0]), [arguments[1]])
        pixels = []
        for k in range(tile.channels):
            pixels += [tile.splat(builder.load(builder.gep(first, [INT(k)])))] * tile.area
        return _build(context, builder, kind, pixels)

    return kind(values, types.int64, shape), code


@intrinsic
def load(typing: Any, array: Any, offset: Any, channel: Any, row: Any, shape: Any) -> Any:
    """The tile at ``offset``; ``channel`` and ``row`` are the strides from one to the next."""
    kind = _Tile(None, shape).type

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        tile = _Tile(builder, shape)
        data, strides = _data(context, builder, array, arguments[0]), arguments[1:4]
        pixels = [tile.load(one) for one in tile.pointers(data, *strides)]
        return _build(context, builder, kind, pixels)

    return kind(array, types.int64, types.int64, types.int64, shape), code


@intrinsic
def store(
    typing: Any, pixels: Any, array: Any, offset: Any, channel: Any, row: Any, shape: Any
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
    typing: Any,
    pixels: Any,
    weights: Any,
    place: Any,
    array: Any,
    offset: Any,
    row: Any,
    shape: Any,
) -> Any:
    """``pixels``, of which the k-th channel has ``weights[place + k]`` times the tile at ``offset``
    added: a tile of one channel and of that ``shape``."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        tile = _Tile(builder, shape)
        channels = range(pixels.count // tile.area)
        first = builder.gep(_data(context, builder, weights, arguments[1]), [arguments[2]])
        factors = [tile.splat(builder.load(builder.gep(first, [INT(k)]))) for k in channels]
        sums = [builder.extract_value(arguments[0], number) for number in range(pixels.count)]
        data, (offset, row) = _data(context, builder, array, arguments[3]), arguments[4:6]
        for number, pointer in enumerate(tile.pointers(data, offset, INT(0), row)):
            pixel = tile.load(pointer)
            for k in channels:
                at = k * tile.area + number
                sums[at] = tile.multiply_add(factors[k], pixel, sums[at])
        return _build(context, builder, pixels, sums)

    return pixels(pixels, weights, types.int64, array, types.int64, types.int64, shape), code


@intrinsic
def add_dot(
    typing: Any, pixels: Any, array: Any, offset: Any, row: Any, sums: Any, place: Any, shape: Any
) -> Any:
    """Add the k-th channel of ``pixels`` times the tile at ``offset``, summed over pixels, to the
    k-th vector of ``sums[place:]``; that tile has one channel and that ``shape``."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        tile = _Tile(builder, shape)
        channels = range(pixels.count // tile.area)
        width = max(1, CHAINS // len(channels))
        chains: list[list[Any]] = [[] for _ in channels]
        data, (offset, row) = _data(context, builder, array, arguments[1]), arguments[2:4]
        for number, pointer in enumerate(tile.pointers(data, offset, INT(0), row)):
            other = tile.load(pointer)
            for k, chain in enumerate(chains):
                pixel = builder.extract_value(arguments[0], k * tile.area + number)
                if number < width:
                    chain.append(builder.fmul(pixel, other))
                else:
                    at = number % width
                    chain[at] = tile.multiply_add(pixel, other, chain[at])
        first = builder.gep(_data(context, builder, sums, arguments[4]), [arguments[5]])
        for k, chain in enumerate(chains):
            target = builder.gep(first, [INT(k * tile.lanes)])
            target = builder.bitcast(target, tile.vector.as_pointer())
            tile.store(builder.fadd(tile.load(target), tile.total(chain)), target)
        return context.get_dummy_value()

    integers = (types.int64,) * 2
    return types.void(pixels, array, *integers, sums, types.int64, shape), code


@intrinsic
def atomic_add(typing: Any, array: Any, place: Any, value: Any) -> Any:
    """Add to an int64 that other threads see at once; gives what it was before."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = builder.gep(_data(context, builder, array, arguments[0]), [arguments[1]])
        return builder.atomic_rmw("add", pointer, arguments[2], "seq_cst")

    return types.int64(array, types.int64, types.int64), code
