"""Rows for a model that came without any: made up from its signature, always the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from forebay.core import Array, DataType, Signature, Tensors, TensorSpec
from forebay.core.errors import Malformed

ROWS = 8
_INNER, _SIDE = 8, 64
_FEW_VALUES = 200_000


def made_rows(signature: Signature, below: int = 2) -> Tensors:
    """Rows of small numbers: between 0 and 1, and whole ones *below* a limit.

    There are eight, or fewer where one alone is large, and one for a model that takes no batch.
    """
    draw = np.random.default_rng(0)
    values = sum(int(np.prod(_shape(spec, 1))) for spec in signature.inputs)
    rows = max(1, min(ROWS, _FEW_VALUES // max(values, 1))) if signature.batches else 1
    return {spec.name: _made(spec, _shape(spec, rows), draw, below) for spec in signature.inputs}


def given_rows(sample: Any, signature: Signature) -> Tensors:
    """*sample* as the inputs of *signature*: tensors by name, or one array for a model with one input.

    A data frame gives a model with one input all its columns, and one with several a column each.
    """
    if hasattr(sample, "columns"):
        if len(signature.inputs) == 1:
            sample = sample.to_numpy()
        else:
            sample = {str(name): sample[name].to_numpy().reshape(-1, 1) for name in sample.columns}
    if not isinstance(sample, Mapping):
        if len(signature.inputs) != 1:
            names = [spec.name for spec in signature.inputs]
            raise Malformed(f"the model takes {names}; give a sample of each: sample={{name: array, …}}")
        sample = {signature.inputs[0].name: sample}
    rows = {str(name): _cast(signature.input(str(name)), values) for name, values in sample.items()}
    if not signature.check(rows):
        raise Malformed("the sample is empty; give some real rows")
    return rows


def _shape(spec: TensorSpec, rows: int) -> tuple[int, ...]:
    image = len(spec.shape) == 4 and spec.datatype.floating
    inner = _SIDE if image else _INNER
    return tuple((rows if n == 0 else inner) if size == -1 else size for n, size in enumerate(spec.shape))


def _made(spec: TensorSpec, shape: tuple[int, ...], draw: np.random.Generator, below: int) -> Array:
    if spec.datatype is DataType.BYTES:
        texts = np.array(["a", "b", "forebay", ""], dtype=object)
        return np.asarray(texts[draw.integers(0, 4, shape)])
    if spec.datatype is DataType.BF16:
        return (draw.random(shape, np.float32).view(np.uint32) >> 16).astype(np.uint16)
    if spec.datatype.floating:
        return draw.random(shape).round(4).astype(spec.datatype.dtype)
    limit = 2 if spec.datatype is DataType.BOOL else below
    return draw.integers(0, limit, shape).astype(spec.datatype.dtype)


def _cast(spec: TensorSpec, values: Any) -> Array:
    array = np.asarray(values)
    if spec.datatype is DataType.BYTES:
        return array.astype(object)
    if not np.can_cast(array.dtype, spec.datatype.dtype, "same_kind") and array.dtype.kind not in "iub":
        raise Malformed(f"the sample's {spec.name!r} is {array.dtype}, and the model takes {spec.datatype}")
    return array.astype(spec.datatype.dtype)
