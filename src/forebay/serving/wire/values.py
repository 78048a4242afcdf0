"""The values of one tensor: JSON ↔ array. Strict: nothing is rounded, wrapped or guessed.

Functions here raise `ValueError` with the second half of a sentence; the caller knows the tensor's name.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import chain
from typing import Any, Literal

import numpy as np
import simdjson

from forebay.core import Array, DataType
from forebay.serving.wire.document import LISTS, OBJECTS

MAX_DIMENSIONS = 64
MAX_ELEMENTS = (1 << 63) - 1
_KINDS: dict[DataType, str] = {
    DataType.BOOL: "true or false",
    DataType.BYTES: "strings",
    **dict.fromkeys((DataType.FP16, DataType.BF16, DataType.FP32, DataType.FP64), "numbers"),
}
_OF_DTYPE = {datatype.dtype: datatype for datatype in DataType if datatype is not DataType.BF16}
_BUFFERS = {"d": np.dtype("<f8"), "i": np.dtype("<i8"), "u": np.dtype("<u8")}


def datatype_of(array: Array) -> DataType:
    """What the protocol calls an array's dtype; raises `ValueError` if it has no word for it.

    >>> datatype_of(np.zeros(3, np.float32)), datatype_of(np.array(["a"]))
    (<DataType.FP32: 'FP32'>, <DataType.BYTES: 'BYTES'>)
    """
    datatype = _OF_DTYPE.get(array.dtype)
    if datatype is not None:
        return datatype
    if array.dtype.kind in "US":
        return DataType.BYTES
    datatype = _OF_DTYPE.get(array.dtype.newbyteorder("="))
    if datatype is None:
        raise ValueError(f"has the dtype {array.dtype}, which the Open Inference Protocol cannot say")
    return datatype


def shape_from(dimensions: Any) -> tuple[int, ...]:
    """A JSON list as a shape; raises `ValueError`."""
    if not isinstance(dimensions, LISTS):
        raise ValueError("has no 'shape'; write it as a list of whole numbers")  # noqa: TRY004  # the caller's mistake, not ours
    shape = tuple(dimensions)
    if len(shape) > MAX_DIMENSIONS:
        raise ValueError(f"has {len(shape)} dimensions; at most {MAX_DIMENSIONS} are possible")
    for dimension in shape:
        if type(dimension) is not int or dimension < 0:
            raise ValueError("has a 'shape' that is no list of whole numbers from 0 on")
    return shape


def elements_in(shape: tuple[int, ...], element_bytes: int = 1) -> int:
    """How many elements fill *shape*; raises `ValueError` where no memory can hold them."""
    count = math.prod(shape)
    # NumPy multiplies the dimensions other than 0 even where the product is 0.
    if math.prod(dimension or 1 for dimension in shape) > MAX_ELEMENTS // max(element_bytes, 1):
        raise ValueError(
            f"has the shape {list(shape)[:8]}, which causes total element count to exceed maximum size "
            f"of {MAX_ELEMENTS}; byte size overflow for input"
        )
    return count


def array_from(data: Any, datatype: DataType, shape: tuple[int, ...]) -> Array:
    """A JSON list, flat or nested, as an array of exactly *datatype* and *shape*; raises `ValueError`."""
    if not isinstance(data, LISTS):
        raise ValueError("has no 'data'; write it as a list")  # noqa: TRY004  # the caller's mistake, not ours
    count = elements_in(shape, datatype.dtype.itemsize)
    dimensions = _nesting(data)
    flat = _flat(data, datatype, len(dimensions))
    if flat.size != count:
        raise ValueError(f"has the shape {list(shape)}, which takes {count} values, and {flat.size} came")
    if len(dimensions) > 1 and count:
        _check_nesting(dimensions, shape)
    return flat.reshape(shape)


def _nesting(data: Any) -> tuple[int, ...]:
    """The dimensions of nested lists; raises `ValueError` when they are ragged."""
    dimensions, first = [len(data)], data
    while dimensions[-1] and isinstance(first[0], LISTS):
        first = first[0]
        size = len(first)
        for inner in _lists_at(data, len(dimensions)):
            if not isinstance(inner, LISTS):
                raise ValueError("mixes lists and values at one level of its 'data'")  # noqa: TRY004  # the caller's mistake
            if len(inner) != size:
                raise ValueError("has a ragged 'data': lists of one level differ in length")
        dimensions.append(size)
    return tuple(dimensions)


def _lists_at(data: Any, depth: int) -> Iterator[Any]:
    """One after the other, so that a million tiny lists take no memory."""
    level: Iterator[Any] = iter((data,))
    for _ in range(depth):
        level = chain.from_iterable(level)
    return level


def _check_nesting(dimensions: tuple[int, ...], shape: tuple[int, ...]) -> None:
    """Nested data may leave out or merge dimensions, but not split them elsewhere (a transposed matrix)."""
    steps = {math.prod(shape[:end]) for end in range(len(shape) + 1)}
    if not all(math.prod(dimensions[:end]) in steps for end in range(1, len(dimensions))):
        raise ValueError(f"has the shape {list(shape)}, but its 'data' is nested as {list(dimensions)}")


def _flat(data: Any, datatype: DataType, depth: int) -> Array:
    if datatype is DataType.BYTES or datatype is DataType.BOOL:
        kind: type = str if datatype is DataType.BYTES else bool
        values = _flat_list(data, depth)
        if not set(map(type, values)) <= {kind}:
            raise _wrong_kind(datatype, values)
        return np.array(values, dtype=datatype.dtype)
    if datatype.floating:
        return narrowed(_numbers(data, "d", datatype, depth), datatype)
    unsigned = datatype is DataType.UINT64
    return narrowed(_numbers(data, "u" if unsigned else "i", datatype, depth), datatype)


def _numbers(data: Any, code: Literal["d", "i", "u"], datatype: DataType, depth: int) -> Array:
    """The numbers of *data* at full width, flat."""
    if isinstance(data, simdjson.Array):
        try:
            return np.frombuffer(data.as_buffer(of_type=code), _BUFFERS[code])
        except TypeError:
            raise _wrong_kind(datatype, _flat_list(data, depth)) from None
        except ValueError:
            raise _out_of_range(datatype) from None
    values = _flat_list(data, depth)
    if not set(map(type, values)) <= ({int, float} if code == "d" else {int}):
        raise _wrong_kind(datatype, values)
    try:
        return np.array(values, dtype=_BUFFERS[code])
    except OverflowError:
        raise _out_of_range(datatype) from None


def _flat_list(data: Any, depth: int) -> list[Any]:
    values: list[Any] = data if isinstance(data, list) else data.as_list()
    for _ in range(depth - 1):
        values = list(chain.from_iterable(values))
    return values


def narrowed(wide: Array, datatype: DataType) -> Array:
    """Numbers of full width (float64, int64, uint64) as *datatype*; raises `ValueError` beyond its range."""
    if wide.dtype == datatype.dtype:
        return wide
    if not datatype.floating:
        narrow = wide.astype(datatype.dtype)
        if not (narrow == wide).all():
            raise _out_of_range(datatype)
        return narrow
    try:
        with np.errstate(over="raise"):
            if datatype is DataType.BF16:
                return bf16_from(wide.astype(np.float32))
            return wide.astype(datatype.dtype)
    except FloatingPointError:
        raise _out_of_range(datatype) from None


def bf16_from(values: Array) -> Array:
    """float32 as the bits of BF16, rounded to nearest, ties to even.

    Raises `FloatingPointError` for a finite number that would become infinite.
    """
    bits = values.astype(np.float32, copy=False).view(np.uint32)
    rounded = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)
    nan = np.isnan(values)
    if nan.any():  # rounding may have carried a NaN's bits over into another number
        rounded = np.where(nan, np.uint16(0x7FC0), rounded)
    if not np.array_equal(np.isinf(bf16_to_float32(rounded)), np.isinf(values)):
        raise FloatingPointError
    return rounded


def bf16_to_float32(bits: Array) -> Array:
    """The bits of BF16 as float32, exactly."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


def _out_of_range(datatype: DataType) -> ValueError:
    return ValueError(f"has a number beyond the range of {datatype}")


def _wrong_kind(datatype: DataType, values: list[Any]) -> ValueError:
    """Name the first value that is not what *datatype* takes."""
    takes = _KINDS.get(datatype, "whole numbers")
    allowed: tuple[type, ...] = {"strings": (str,), "true or false": (bool,), "numbers": (int, float)}.get(
        takes, (int,)
    )
    index, value = next((at, value) for at, value in enumerate(values) if type(value) not in allowed)
    return ValueError(f"is {datatype} and takes {takes}, but value {index} is {_shown(value)}")


def _shown(value: Any) -> str:
    if isinstance(value, LISTS):
        return "a list"
    if isinstance(value, OBJECTS):
        return "an object"
    words = {None: "null", True: "true", False: "false"}
    if value is None or isinstance(value, bool):
        return words[value]
    return repr(value)[:40]
