"""What a function of somebody's returns, as named tensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from forebay.core import Array, DataType, Tensors, TensorSpec
from forebay.core.errors import Malformed

INPUTS, OUTPUTS = "inputs.json", "outputs.json"
"""What passes between a conversion and the child that asks the code once (`trusted.probe`)."""

_BY_DTYPE = {
    datatype.dtype: datatype for datatype in DataType if datatype not in (DataType.BYTES, DataType.BF16)
}


def named_answer(found: Any) -> Tensors:
    """*found* by name: a dictionary's own names, `output_0`, … for a tuple, or by what a single array is.

    One number a row is a `prediction`, one whole number or text a `label`.
    """
    if isinstance(found, Mapping):
        return {str(name): as_tensor(value) for name, value in found.items()}
    if isinstance(found, tuple):
        return {f"output_{number}": as_tensor(value) for number, value in enumerate(found)}
    array = as_tensor(found)
    return {"prediction" if array.dtype.kind == "f" else "label": array}


def as_tensor(value: Any) -> Array:
    """*value* as an array that a protocol carries: texts are objects."""
    array = np.asarray(value)
    return array.astype(object) if array.dtype.kind in "UST" else array


def specs_of(tensors: Tensors) -> tuple[TensorSpec, ...]:
    """What *tensors* are, their first dimension free; raises `Malformed` for what is no tensor."""
    return tuple(
        TensorSpec(name, _datatype(name, array), _shape(name, array)) for name, array in tensors.items()
    )


def _datatype(name: str, array: Array) -> DataType:
    if array.dtype == object and all(isinstance(item, str | bytes) for item in array.flat):
        return DataType.BYTES
    if array.dtype not in _BY_DTYPE:
        raise Malformed(f"{name!r} is an array of {array.dtype}, which no protocol carries")
    return _BY_DTYPE[array.dtype]


def _shape(name: str, array: Array) -> tuple[int, ...]:
    if not array.ndim:
        raise Malformed(f"{name!r} is a single value; take and return arrays with one entry for each row")
    return (-1, *array.shape[1:])
