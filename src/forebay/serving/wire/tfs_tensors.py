"""TensorFlow's `TensorProto` ↔ array.

Functions here raise `ValueError` with the second half of a sentence; the caller knows the tensor's name.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import numpy as np

from forebay.core import Array
from forebay.serving.wire.binary import array_from_bytes, bytes_from_array
from forebay.serving.wire.datatypes import BF16, BOOL, BYTES, FORMS, WIDE, Form, form_of, narrowed
from forebay.serving.wire.oip_grpc_tensors import MOST_DIMENSIONS
from forebay.serving.wire.values import elements_in

NUMBERS = MappingProxyType(
    {
        "FP32": 1,
        "FP64": 2,
        "INT32": 3,
        "UINT8": 4,
        "INT16": 5,
        "INT8": 6,
        "BYTES": 7,
        "INT64": 9,
        "BOOL": 10,
        "BF16": 14,
        "UINT16": 17,
        "FP16": 19,
        "UINT32": 22,
        "UINT64": 23,
    }
)
"""TensorFlow's number of each of our datatypes."""
_FORMS = {number: FORMS[name] for name, number in NUMBERS.items()}
_VALUES = {
    "FP32": "float_val",
    "FP64": "double_val",
    "BYTES": "string_val",
    "INT64": "int64_val",
    "BOOL": "bool_val",
    "BF16": "half_val",
    "FP16": "half_val",
    "UINT32": "uint32_val",
    "UINT64": "uint64_val",
}
"""Where a message keeps typed values; the smaller whole numbers share `int_val`."""
_MOST_REPEATED = 1 << 20


def array_in(tensor: Any) -> tuple[Array, bool]:
    """The values of a message, and whether they are the bits of BF16."""
    form = _FORMS.get(tensor.dtype)
    if form is None:
        raise ValueError(f"has the DataType {tensor.dtype}, which is not served here")
    shape = _shape_in(tensor.tensor_shape)
    count = elements_in(shape, form.size_bytes)
    if tensor.tensor_content and form is not BYTES:
        array = array_from_bytes(memoryview(tensor.tensor_content), form, shape)
    else:
        array = _filled(_typed(tensor, form), count).reshape(shape)
    return array, form is BF16


def _shape_in(shape: Any) -> tuple[int, ...]:
    if shape.unknown_rank:
        raise ValueError("has an unknown rank; a request says the shape of its tensors")
    sizes = tuple(dim.size for dim in shape.dim)
    if len(sizes) > MOST_DIMENSIONS:
        raise ValueError(f"has {len(sizes)} dimensions; at most {MOST_DIMENSIONS} are possible")
    if any(size < 0 for size in sizes):
        raise ValueError(f"has the shape {list(sizes)}; a dimension is 0 or more")
    return sizes


def _typed(tensor: Any, form: Form) -> Array:
    values = getattr(tensor, _VALUES.get(form.datatype, "int_val"))
    if form is BYTES or form is BOOL:
        array = np.empty(len(values), form.dtype)
        array[:] = list(values)
        return array
    if _VALUES.get(form.datatype) == "half_val":  # the bits, in the lower half of each number
        return narrowed(np.array(values, np.int64), FORMS["UINT16"]).view(form.dtype)
    return narrowed(np.array(values, WIDE[form.wide]), form)


def _filled(values: Array, count: int) -> Array:
    """*values*, the last repeated until there are *count*."""
    if len(values) == count:
        return values
    if not 0 < len(values) < count:
        raise ValueError(f"takes {count} values, and {len(values)} came")
    if count > _MOST_REPEATED:  # a few bytes must not ask for gigabytes
        raise ValueError(
            f"takes {count} values, and {len(values)} came; at most {_MOST_REPEATED} are filled up"
        )
    whole = np.full(count, values[-1], values.dtype)
    whole[: len(values)] = values
    return whole


def tensor_of(array: Array, tensor: Any, *, bf16: bool = False) -> None:
    """Write *array* into a message."""
    form = BF16 if bf16 else form_of(array)
    tensor.dtype = NUMBERS[form.datatype]
    for size in array.shape:
        tensor.tensor_shape.dim.add(size=size)
    if form is BYTES:
        values = array.ravel().tolist()
        tensor.string_val.extend(value.encode() if isinstance(value, str) else value for value in values)
    else:
        tensor.tensor_content = bytes_from_array(array)
