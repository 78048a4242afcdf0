"""The values of one tensor: JSON → array. Strict: nothing is rounded, wrapped or guessed.

Functions here raise `ValueError` with the second half of a sentence; the caller knows the tensor's name.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import chain
from typing import Any

import numpy as np
import simdjson

from forebay.core import Array
from forebay.serving.wire.datatypes import WIDE, Form, narrowed, out_of_range
from forebay.serving.wire.document import LISTS, OBJECTS

_MOST_DIMENSIONS = 64
_MOST_ELEMENTS = (1 << 63) - 1


def shape_from(dimensions: Any) -> tuple[int, ...]:
    """A JSON list as a shape; raises `ValueError`."""
    if not isinstance(dimensions, LISTS):
        raise ValueError("has no 'shape'; write it as a list of whole numbers")  # noqa: TRY004  # the caller's mistake, not ours
    shape = tuple(dimensions)
    if len(shape) > _MOST_DIMENSIONS:
        raise ValueError(f"has {len(shape)} dimensions; at most {_MOST_DIMENSIONS} are possible")
    for dimension in shape:
        if type(dimension) is not int or dimension < 0:
            raise ValueError("has a 'shape' that is no list of whole numbers from 0 on")
    return shape


def elements_in(shape: tuple[int, ...], element_bytes: int) -> int:
    """How many elements fill *shape*; raises `ValueError` where no memory can hold them."""
    count = math.prod(shape)
    # NumPy multiplies the other dimensions even where one is 0.
    if (count or math.prod(filter(None, shape))) * element_bytes > _MOST_ELEMENTS:
        raise ValueError(
            f"has the shape {list(shape)[:8]}, which causes total element count to exceed maximum size "
            f"of {_MOST_ELEMENTS}; byte size overflow for input"
        )
    return count


def array_from(data: Any, form: Form, shape: tuple[int, ...]) -> Array:
    """A JSON list, flat or nested, as an array of exactly *form* and *shape*; raises `ValueError`."""
    if not isinstance(data, LISTS):
        raise ValueError("has no 'data'; write it as a list")  # noqa: TRY004  # the caller's mistake, not ours
    count = elements_in(shape, form.size_bytes)
    dimensions = nesting(data)
    flat = _flat(data, form, len(dimensions))
    if flat.size != count:
        raise ValueError(f"has the shape {list(shape)}, which takes {count} values, and {flat.size} came")
    if count:
        check_nesting(dimensions, shape)
    return flat.reshape(shape)


def nesting(data: Any) -> tuple[int, ...]:
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


def check_nesting(dimensions: tuple[int, ...], shape: tuple[int, ...]) -> None:
    """Nested data may leave out or merge dimensions, but not split them elsewhere (a transposed matrix).

    Raises `ValueError`.
    """
    if len(dimensions) < 2:
        return
    steps = {math.prod(shape[:end]) for end in range(len(shape) + 1)}
    if not all(math.prod(dimensions[:end]) in steps for end in range(1, len(dimensions))):
        raise ValueError(f"has the shape {list(shape)}, but its 'data' is nested as {list(dimensions)}")


def numbers_from(data: Any, form: Form) -> Array | None:
    """A list of numbers, flattened; None where something in it is none. Raises `ValueError` beyond *form*."""
    if not form.wide or not isinstance(data, simdjson.Array):
        return None
    try:
        wide = np.frombuffer(data.as_buffer(of_type=form.wide), WIDE[form.wide])
    except TypeError:
        return None
    except ValueError:
        raise out_of_range(form) from None
    return narrowed(wide, form)


def _flat(data: Any, form: Form, depth: int) -> Array:
    numbers = numbers_from(data, form)
    if numbers is not None:
        return numbers
    values = _flat_list(data, depth)
    if not form.kinds.issuperset(map(type, values)):
        raise wrong_kind(form, values)
    if not form.wide:
        return np.array(values, dtype=form.dtype)
    try:
        return narrowed(np.array(values, dtype=WIDE[form.wide]), form)
    except OverflowError:
        raise out_of_range(form) from None


def _flat_list(data: Any, depth: int) -> list[Any]:
    values: list[Any] = data if isinstance(data, list) else data.as_list()
    for _ in range(depth - 1):
        values = list(chain.from_iterable(values))
    return values


def wrong_kind(form: Form, values: list[Any]) -> ValueError:
    """Name the first of *values* that is not what *form* takes."""
    index, value = next((at, value) for at, value in enumerate(values) if type(value) not in form.kinds)
    return ValueError(f"is {form.datatype} and takes {form.takes}, but value {index} is {shown(value)}")


def shown(value: Any) -> str:
    """*value* as a sentence may have it: short, and in JSON's words."""
    if isinstance(value, LISTS):
        return "a list"
    if isinstance(value, OBJECTS):
        return "an object"
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else repr(value)[:40]
