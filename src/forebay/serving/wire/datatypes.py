"""The protocol's datatypes as arrays have them, and numbers made to fit them without a silent change."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np

from forebay.core import Array, DataType

WIDE: dict[str, np.dtype[Any]] = {"d": np.dtype("<f8"), "i": np.dtype("<i8"), "u": np.dtype("<u8")}
_BF16_NAN = 0x7FC0


class Form(NamedTuple):
    """A datatype: its dtype, the bytes of an element, and how JSON writes its values.

    `wide` is the full width at which JSON numbers are read (`WIDE`), empty for what is no number;
    `kinds` are the Python types of its values, `takes` the word for them.
    """

    datatype: DataType
    dtype: np.dtype[Any]
    size_bytes: int
    wide: Literal["d", "i", "u", ""]
    kinds: frozenset[type]
    takes: str


def _form(datatype: DataType) -> Form:
    dtype = datatype.dtype
    if datatype is DataType.BYTES:
        return Form(datatype, dtype, dtype.itemsize, "", frozenset({str, bytes}), "strings")
    if datatype is DataType.BOOL:
        return Form(datatype, dtype, dtype.itemsize, "", frozenset({bool}), "true or false")
    if datatype.floating:
        return Form(datatype, dtype, dtype.itemsize, "d", frozenset({int, float}), "numbers")
    wide: Literal["i", "u"] = "u" if datatype is DataType.UINT64 else "i"
    return Form(datatype, dtype, dtype.itemsize, wide, frozenset({int}), "whole numbers")


FORMS: dict[str, Form] = {datatype.value: _form(datatype) for datatype in DataType}
"""By name; `DataType` members are names, too."""

_SQUARES = {dtype: float(np.finfo(dtype).max) ** 2 for dtype in (np.dtype("<f2"), np.dtype("<f4"))}
BYTES, BOOL, BF16 = FORMS["BYTES"], FORMS["BOOL"], FORMS["BF16"]
_OF_DTYPE = {form.dtype: form for form in FORMS.values() if form is not BF16}


def form_of(array: Array) -> Form:
    """What the protocol calls an array's dtype; raises `ValueError` if it has no word for it.

    >>> form_of(np.zeros(3, np.float32)).datatype, form_of(np.array(["a"])).datatype
    (<DataType.FP32: 'FP32'>, <DataType.BYTES: 'BYTES'>)
    """
    form = _OF_DTYPE.get(array.dtype)
    if form is not None:
        return form
    if array.dtype.kind in "US":
        return BYTES
    form = _OF_DTYPE.get(array.dtype.newbyteorder("="))
    if form is None:
        raise ValueError(f"has the dtype {array.dtype}, which the Open Inference Protocol cannot say")
    return form


def narrowed(wide: Array, form: Form) -> Array:
    """Numbers of full width as *form* has them; raises `ValueError` for one beyond its range."""
    if wide.dtype == form.dtype:
        return wide
    if form.wide != "d":
        narrow = wide.astype(form.dtype)
        if not (narrow == wide).all():
            raise out_of_range(form)
        return narrow
    if form is not BF16 and np.vdot(wide, wide) < _SQUARES.get(form.dtype, 0.0):
        return wide.astype(
            form.dtype
        )  # each is in range; setting NumPy's error state costs more than this look
    try:
        with np.errstate(over="raise"):
            return bf16_from(wide) if form is BF16 else wide.astype(form.dtype)
    except FloatingPointError:
        raise out_of_range(form) from None


def out_of_range(form: Form) -> ValueError:
    """The half of a sentence for it."""
    return ValueError(f"has a number beyond the range of {form.datatype}")


def flat_native(array: Array) -> Array:
    """One dimension, and the machine's byte order: what orjson can write."""
    flat = array.ravel()
    return flat if flat.dtype.isnative else flat.astype(flat.dtype.newbyteorder("="))


def bf16_from(values: Array) -> Array:
    """Floats as the bits of BF16, rounded to nearest, ties to even.

    Raises `FloatingPointError` for a finite number that would become infinite.
    """
    with np.errstate(over="raise"):
        single = values.astype(np.float32, copy=False)
    bits = single.view(np.uint32)
    rounded = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)
    nan = np.isnan(single)
    if nan.any():  # rounding may have carried a NaN's bits over into another number
        rounded = np.where(nan, np.uint16(_BF16_NAN), rounded)
    if not np.array_equal(np.isinf(bf16_to_float32(rounded)), np.isinf(single)):
        raise FloatingPointError
    return rounded


def bf16_to_float32(bits: Array) -> Array:
    """The bits of BF16 as float32, exactly."""
    return (bits.astype(np.uint32) << 16).view(np.float32)
