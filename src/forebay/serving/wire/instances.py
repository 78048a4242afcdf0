"""Tensors as the `instances` and `inputs` of TensorFlow Serving, KServe v1, Vertex AI and MLflow write them.

    rows      [t0, t1, …]   [{"a": …, "b": …}, …]         the list is the batch
    columns   tensor        {"a": tensor, "b": tensor}    each tensor whole

Bytes that are no text stand as {"b64": "…"}. A table's columns may be named as well as its tensors.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from typing import Any

import numpy as np
import orjson

from forebay.core import Array, Signature, Tensors, TensorSpec
from forebay.core.errors import Broken, Malformed
from forebay.serving.wire.columns import Plan, plan_for, tensor_from
from forebay.serving.wire.datatypes import BF16, FORMS, bf16_to_float32, flat_native
from forebay.serving.wire.document import LISTS, OBJECTS, plain
from forebay.serving.wire.rows import from_items, from_records
from forebay.serving.wire.values import array_from

_B64 = "b64"
_TOKENS = ((np.isnan, b"NaN"), (np.isposinf, b"Infinity"), (np.isneginf, b"-Infinity"))


# --- requests ---


def from_instances(items: Any, signature: Signature) -> Tensors:
    """Inputs from rows; raises `Malformed`."""
    plan = plan_for(signature)
    if not plan.takes_rows:
        raise Malformed("this model does not take rows; send its tensors as 'inputs'")
    if not isinstance(items, LISTS) or not len(items):
        raise Malformed("'instances' is a list with a row in it: [[…], …] or [{…}, …]")
    if _has_bytes(signature) or isinstance(items[0], OBJECTS):
        items = unpacked(plain(items))
    if not isinstance(items[0], OBJECTS):
        return from_items(items, plan)
    names = [spec.name for spec in signature.inputs]
    if items[0].keys() != set(names):
        return from_records(items, plan)
    for number, item in enumerate(items):
        if not isinstance(item, dict) or item.keys() != items[0].keys():
            raise Malformed(f"instance {number} has other names than the ones before it; all have {names}")
    return {spec.name: tensor_from(spec, [item[spec.name] for item in items]) for spec in signature.inputs}


def from_inputs(value: Any, signature: Signature) -> Tensors:
    """Inputs from whole tensors; raises `Malformed`."""
    if _has_bytes(signature) or isinstance(value, OBJECTS):
        value = unpacked(plain(value))
    if not isinstance(value, dict):
        if len(signature.inputs) != 1:
            names = [spec.name for spec in signature.inputs]
            raise Malformed(f'the model takes the inputs {names}; send them by name: {{"{names[0]}": …}}')
        return {signature.inputs[0].name: _tensor(signature.inputs[0], value)}
    plan = plan_for(signature)
    if value.keys() == plan.positions.keys() and plan.takes_rows:
        return _from_columns(value, plan)
    return {name: _tensor(signature.input(name), each) for name, each in value.items()}


def _from_columns(value: dict[str, Any], plan: Plan) -> Tensors:
    """Inputs from a table, column by column."""
    listed = {name: each if isinstance(each, list) else [each] for name, each in value.items()}
    sizes = {name: len(each) for name, each in listed.items()}
    if len(set(sizes.values())) > 1:
        raise Malformed(f"the columns differ in their number of rows: {dict(list(sizes.items())[:9])}")
    if plan.single is None or len(plan.columns) > 1:
        return from_records(
            [dict(zip(listed, row, strict=True)) for row in zip(*listed.values(), strict=True)], plan
        )
    return {plan.single.name: _tensor(plan.single, value[plan.names[0]])}


def _tensor(spec: TensorSpec, value: Any) -> Array:
    if isinstance(value, LISTS):
        return tensor_from(spec, value)
    try:
        return array_from([value], FORMS[spec.datatype], ())
    except ValueError as why:
        raise Malformed(f"input {spec.name!r} {why}") from None


def _has_bytes(signature: Signature) -> bool:
    return any(spec.datatype == "BYTES" for spec in signature.inputs)


def unpacked(value: Any) -> Any:
    """Plain JSON with every {"b64": …} as the bytes that it stands for; raises `Malformed`."""
    try:
        return _unpacked(value)
    except RecursionError as deep:
        raise Malformed("the JSON is nested too deeply; send flat arrays") from deep


def _unpacked(value: Any) -> Any:
    if isinstance(value, list):
        return [_unpacked(item) if isinstance(item, list | dict) else item for item in value]
    if not isinstance(value, dict):
        return value
    if value.keys() != {_B64}:
        return {name: _unpacked(item) for name, item in value.items()}
    try:
        return base64.b64decode(value[_B64], validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise Malformed('an object {"b64": …} holds no valid base64') from None


# --- answers ---


def checked_output(spec: TensorSpec, outputs: Tensors) -> Array:
    """What the model said for *spec*, BF16 as FP32; raises `Broken` where it said nothing."""
    array = outputs.get(spec.name)
    if array is None:
        raise Broken(f"the model's output {spec.name!r} is missing")
    return bf16_to_float32(array) if FORMS[spec.datatype] is BF16 else array


def tensor_text(array: Array, *, packed: bool = False) -> bytes:
    """An array as nested JSON; *packed* strings are {"b64": …}, and so are those that are no UTF-8.

    >>> tensor_text(np.array([[1.5, np.nan], [np.inf, 2.0]], np.float32))
    b'[[1.5,NaN],[Infinity,2.0]]'
    """
    if array.dtype.kind not in "OUS" and array.ndim and (array.dtype.kind != "f" or np.isfinite(array).all()):
        native = np.ascontiguousarray(array, array.dtype.newbyteorder("="))
        return orjson.dumps(native, option=orjson.OPT_SERIALIZE_NUMPY)
    return nested_text(texts_of(array, packed=packed), array.shape)


def texts_of(array: Array, *, packed: bool = False) -> list[bytes]:
    """Each value as JSON, in order."""
    if array.dtype.kind in "OUS":
        return [_text(value, packed) for value in array.ravel().tolist()]
    if not array.size:
        return []
    flat = flat_native(array)
    texts = orjson.dumps(flat, option=orjson.OPT_SERIALIZE_NUMPY)[1:-1].split(b",")
    if array.dtype.kind == "f" and not np.isfinite(flat).all():
        for is_one, token in _TOKENS:
            for at in np.flatnonzero(is_one(flat)).tolist():
                texts[at] = token
    return texts


def rows_text(array: Array, *, packed: bool = False) -> list[bytes]:
    """Each row of *array* as JSON."""
    if array.ndim == 1:
        return texts_of(array, packed=packed)
    return [tensor_text(row, packed=packed) for row in array]


def nested_text(texts: list[bytes], shape: Iterable[int]) -> bytes:
    """The JSON of values that fill *shape*."""
    sizes = list(shape)
    while sizes:
        size = sizes.pop()
        groups = int(np.prod(sizes, dtype=np.int64))
        texts = [b"[" + b",".join(texts[at * size : (at + 1) * size]) + b"]" for at in range(groups)]
    return texts[0]


def _text(value: str | bytes, packed: bool) -> bytes:
    raw = value.encode() if isinstance(value, str) else value
    text = None if packed else _read(raw)
    return orjson.dumps({_B64: base64.b64encode(raw).decode()} if text is None else text)


def _read(raw: bytes) -> str | None:
    """The text that *raw* is in UTF-8; None for bytes that are none."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return None
