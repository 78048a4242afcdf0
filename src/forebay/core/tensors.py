"""Tensors, and what a model says it takes and gives."""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Any, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from forebay.core.errors import Malformed

Array: TypeAlias = NDArray[Any]
Tensors: TypeAlias = dict[str, Array]
"""Arrays by tensor name. BYTES tensors are object arrays of `bytes` or `str`."""


class DataType(StrEnum):
    """The datatypes of the Open Inference Protocol."""

    BOOL = "BOOL"
    UINT8 = "UINT8"
    UINT16 = "UINT16"
    UINT32 = "UINT32"
    UINT64 = "UINT64"
    INT8 = "INT8"
    INT16 = "INT16"
    INT32 = "INT32"
    INT64 = "INT64"
    FP16 = "FP16"
    BF16 = "BF16"
    FP32 = "FP32"
    FP64 = "FP64"
    BYTES = "BYTES"

    @property
    def floating(self) -> bool:
        """Whether values may be NaN."""
        return self in _FLOATING

    @property
    def dtype(self) -> np.dtype[Any]:
        """The NumPy dtype that holds it: object for BYTES, uint16 (the bits) for BF16."""
        return _DTYPES[self]


_FLOATING = frozenset({DataType.FP16, DataType.BF16, DataType.FP32, DataType.FP64})
_BF16_MAGNITUDE, _BF16_INFINITY = 0x7FFF, 0x7F80
_DTYPES: dict[DataType, np.dtype[Any]] = {
    DataType.BOOL: np.dtype(np.bool_),
    DataType.UINT8: np.dtype("<u1"),
    DataType.UINT16: np.dtype("<u2"),
    DataType.UINT32: np.dtype("<u4"),
    DataType.UINT64: np.dtype("<u8"),
    DataType.INT8: np.dtype("<i1"),
    DataType.INT16: np.dtype("<i2"),
    DataType.INT32: np.dtype("<i4"),
    DataType.INT64: np.dtype("<i8"),
    DataType.FP16: np.dtype("<f2"),
    DataType.BF16: np.dtype("<u2"),
    DataType.FP32: np.dtype("<f4"),
    DataType.FP64: np.dtype("<f8"),
    DataType.BYTES: np.dtype(object),
}


class TensorSpec(msgspec.Struct, frozen=True, omit_defaults=True):
    """One named tensor: its datatype, its shape, and what its columns are called.

    `shape` counts every dimension, the batch included; -1 varies. `columns` names the entries of
    the last dimension for people: feature names, or the classes behind a row of probabilities.
    `nan` says whether a NaN is a value (somebody imputes it) or a mistake.
    """

    name: str
    datatype: DataType
    shape: tuple[int, ...]
    columns: tuple[str, ...] = ()
    nan: bool = True

    def check(self, array: Array) -> None:
        """Raise `Malformed` unless *array* fits: datatype, number of dimensions, fixed dimensions, NaN."""
        if array.dtype != _DTYPES[self.datatype]:
            raise Malformed(f"input {self.name!r} takes {self.datatype}, got {array.dtype}")
        shape = array.shape
        usual = shape and self.shape[:1] == (-1,) and shape[1:] == self.shape[1:]
        if not usual and not self._takes(shape):
            raise Malformed(
                f"input {self.name!r} takes the shape {list(self.shape)} (-1 varies), got {list(array.shape)}"
            )
        if not self.nan and self.datatype in _FLOATING and _has_nan(array, self.datatype):
            row = int(np.argwhere(_nans(array, self.datatype))[0][0])
            raise Malformed(
                f"input {self.name!r} has a NaN in row {row}, and the model was not made for missing values"
            )

    def _takes(self, shape: tuple[int, ...]) -> bool:
        if len(shape) != len(self.shape):
            return False
        for want, got in zip(self.shape, shape, strict=True):  # noqa: SIM110  # a loop costs a third of any()
            if want not in (-1, got):
                return False
        return True


class Signature(msgspec.Struct, frozen=True):
    """What a version takes and gives."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    @property
    def batches(self) -> bool:
        """Whether rows of several requests may share one call: every tensor's first dimension varies."""
        return all(spec.shape[:1] == (-1,) for spec in (*self.inputs, *self.outputs))

    def input(self, name: str) -> TensorSpec:
        """The input called *name*; raises `Malformed`."""
        return _named(self.inputs, name, "input")

    def output(self, name: str) -> TensorSpec:
        """The output called *name*; raises `Malformed`."""
        return _named(self.outputs, name, "output")

    def check(self, inputs: Tensors) -> int:
        """The number of rows in *inputs* (1 for a model that does not batch); raises `Malformed`."""
        if len(inputs) != len(self.inputs):
            self._refuse_names(inputs)
        rows: int | None = None
        batches = self.batches
        for spec in self.inputs:
            array = inputs.get(spec.name)
            if array is None:
                self._refuse_names(inputs)
                raise AssertionError("unreachable: the names differ")
            spec.check(array)
            if not batches:
                continue
            if rows is None:
                rows = array.shape[0]
            elif rows != array.shape[0]:
                raise Malformed(
                    f"input {spec.name!r} has {array.shape[0]} rows, the inputs before it have {rows}"
                )
        return 1 if rows is None else rows

    def _refuse_names(self, inputs: Tensors) -> None:
        wanted = [spec.name for spec in self.inputs]
        missing = [name for name in wanted if name not in inputs]
        extra = [name for name in inputs if name not in wanted]
        parts = [f"missing {missing}"] if missing else []
        parts += [f"unexpected {extra}"] if extra else []
        raise Malformed(f"the model takes the inputs {wanted}: {' and '.join(parts)}")


def _has_nan(array: Array, datatype: DataType) -> bool:
    """Whether any value is NaN: a sum of squares is NaN only then, and takes one pass without a copy."""
    if datatype is DataType.BF16:
        return bool(_nans(array, datatype).any())
    return math.isnan(np.vdot(array, array))


def _nans(array: Array, datatype: DataType) -> Array:
    if datatype is DataType.BF16:
        return np.asarray((array & _BF16_MAGNITUDE) > _BF16_INFINITY)
    return np.asarray(np.isnan(array))


def _named(specs: tuple[TensorSpec, ...], name: str, what: str) -> TensorSpec:
    for spec in specs:
        if spec.name == name:
            return spec
    raise Malformed(f"the model has no {what} {name!r}; it has {[spec.name for spec in specs]}")
