"""Tensors in messages of the Open Inference Protocol: typed contents, raw contents, parameters.

Functions here raise `ValueError` with the second half of a sentence; the caller knows the tensor's name.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from forebay.core import Array
from forebay.core.errors import Unsupported
from forebay.serving.wire.datatypes import BOOL, BYTES, FORMS, WIDE, Form, narrowed
from forebay.serving.wire.values import elements_in

MOST_DIMENSIONS = 64
_CONTENTS = {
    "BOOL": "bool_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}
"""Where a message keeps the values of a datatype; FP16 and BF16 have no place but raw."""


def form_in(tensor: Any) -> Form:
    """The datatype of a tensor's message."""
    form = FORMS.get(tensor.datatype)
    if form is None:
        raise ValueError(f"has the datatype {tensor.datatype!r}; there are {', '.join(FORMS)}")
    return form


def shape_in(tensor: Any) -> tuple[int, ...]:
    """The shape of a tensor's message."""
    shape = tuple(tensor.shape)
    if len(shape) > MOST_DIMENSIONS:
        raise ValueError(f"has {len(shape)} dimensions; at most {MOST_DIMENSIONS} are possible")
    if any(size < 0 for size in shape):
        raise ValueError(f"has the shape {list(shape)}; a dimension is 0 or more")
    return shape


def array_from_contents(tensor: Any, form: Form, shape: tuple[int, ...]) -> Array:
    """The values that stand in a tensor's typed contents."""
    count = elements_in(shape, form.size_bytes)
    place = _CONTENTS.get(form.datatype)
    filled = [field.name for field, _ in tensor.contents.ListFields()]
    if place is None:
        if count or filled:
            raise ValueError(f"is {form.datatype}, which only raw_input_contents can hold")
        return np.zeros(shape, form.dtype)
    if any(name != place for name in filled):
        raise ValueError(f"is {form.datatype} and has its values in {place}, but {filled} came")
    values = getattr(tensor.contents, place)
    if len(values) != count:
        raise ValueError(
            f"has the shape {list(shape)}, which takes {count} values, and {len(values)} came in {place}"
        )
    if form is BYTES or form is BOOL:
        array = np.empty(count, form.dtype)
        array[:] = list(values)
    else:
        array = narrowed(np.array(values, WIDE[form.wide]), form)
    return array.reshape(shape)


def fill_contents(tensor: Any, array: Array, form: Form) -> None:
    """Write an array's values into typed contents."""
    place = _CONTENTS.get(form.datatype)
    if place is None:
        raise ValueError(f"is {form.datatype}, which only raw contents can hold")
    values = array.ravel().tolist()
    if form is BYTES:
        values = [value.encode() if isinstance(value, str) else value for value in values]
    getattr(tensor.contents, place).extend(values)


def parameters_in(parameters: Any) -> dict[str, Any]:
    """A map of parameters as plain values."""
    said: dict[str, Any] = {}
    for name, parameter in parameters.items():
        choice = parameter.WhichOneof("parameter_choice")
        if choice is not None:
            said[name] = getattr(parameter, choice)
    return said


def fill_parameters(parameters: Any, values: dict[str, Any]) -> None:
    """Write plain values as parameters."""
    for name, value in values.items():
        if isinstance(value, bool):
            parameters[name].bool_param = value
        elif isinstance(value, int):
            parameters[name].int64_param = value
        elif isinstance(value, float):
            parameters[name].double_param = value
        else:
            parameters[name].string_param = value


def refuse_shared_memory(parameters: Any) -> None:
    """Raise `Unsupported` for a tensor that lies in shared memory."""
    if "shared_memory_region" in parameters:
        raise Unsupported("shared memory is not served here; send the data in the request")
