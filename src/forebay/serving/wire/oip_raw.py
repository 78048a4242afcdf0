"""A request without JSON: the body is the one input tensor, and the signature says how to read it."""

from __future__ import annotations

import numpy as np

from forebay.core import Array, DataType, Signature, TensorSpec
from forebay.core.errors import Malformed
from forebay.serving.wire.binary import array_from_bytes
from forebay.serving.wire.call import Call
from forebay.serving.wire.datatypes import FORMS


def raw_call(body: bytes, model: str, version: str | None, signature: Signature) -> Call:
    """The call that a raw *body* means: a batch of one, every output wanted as bytes; raises `Malformed`."""
    if len(signature.inputs) != 1:
        names = [spec.name for spec in signature.inputs]
        raise Malformed(
            "Raw request must only have 1 input (found 1) to be deduced but got "
            f"{len(names)} inputs in the model {model!r}: {names}"
        )
    spec = signature.inputs[0]
    try:
        array = _raw_strings(body, spec) if spec.datatype is DataType.BYTES else _raw_numbers(body, spec)
    except ValueError as why:
        raise Malformed(str(why)) from None
    bf16 = (spec.name,) if spec.datatype is DataType.BF16 else ()
    return Call(model, {spec.name: array}, version, binary=True, bf16=bf16)


def _raw_strings(body: bytes, spec: TensorSpec) -> Array:
    if spec.shape not in ((1,), (-1, 1), (-1,)):
        raise ValueError(f"For BYTE datatype raw input '{spec.name}', the model must have input shape [1]")
    array = np.empty((1,) * len(spec.shape), dtype=object)
    array.fill(body)
    return array


def _raw_numbers(body: bytes, spec: TensorSpec) -> Array:
    # The first dimension of a batch is 1, as in Triton; one more may vary, and the size says how long it is.
    batched = len(spec.shape) > 1 and spec.shape[0] == -1
    shape = [1, *spec.shape[1:]] if batched else list(spec.shape)
    if shape.count(-1) > 1:
        raise ValueError(
            f"The shape of the raw input '{spec.name}' can not be deduced because there are more than one "
            "variable-sized dimension"
        )
    if -1 in shape:
        fixed_bytes = spec.datatype.dtype.itemsize
        for dimension in shape:
            fixed_bytes *= dimension if dimension != -1 else 1
        shape[shape.index(-1)] = len(body) // fixed_bytes if fixed_bytes else 0
    try:
        return array_from_bytes(memoryview(body), FORMS[spec.datatype], tuple(shape))
    except ValueError as why:
        raise ValueError(f"the raw input {spec.name!r} {why}") from None
