"""The values of one tensor: bytes ↔ array, as in the binary tensor extension.

    numbers   little-endian, row by row          BOOL   one byte, 0 or 1
    BYTES     length u32 | bytes, repeated       BF16   the upper half of a float32

Functions here raise `ValueError` with the second half of a sentence; the caller knows the tensor's name.
"""

from __future__ import annotations

import struct

import numpy as np

from forebay.core import Array
from forebay.serving.wire.datatypes import BOOL, BYTES, Form
from forebay.serving.wire.values import elements_in

_LENGTH = struct.Struct("<I")
_MAX_BYTES = (1 << 32) - 1


def array_from_bytes(chunk: memoryview, form: Form, shape: tuple[int, ...]) -> Array:
    """*chunk* as an array, without a copy where the memory is aligned; raises `ValueError`.

    BYTES come as an object array of `bytes`.
    """
    count = elements_in(shape, form.size_bytes)
    if form is BYTES:
        return _strings_from(chunk, count).reshape(shape)
    if len(chunk) != count * form.size_bytes:
        raise ValueError(
            f"has an unexpected size for input: {len(chunk)} bytes came, and the shape {list(shape)} "
            f"of {form.datatype} takes {count * form.size_bytes}"
        )
    if form is BOOL and count and np.frombuffer(chunk, np.uint8).max() > 1:
        raise ValueError("is BOOL and takes the bytes 0 and 1")
    array = np.frombuffer(chunk, form.dtype).reshape(shape)
    return array if array.flags.aligned else array.copy()


def _strings_from(chunk: memoryview, count: int) -> Array:
    strings: list[bytes] = []
    position, end = 0, len(chunk)
    while position < end:
        if len(strings) == count:
            raise ValueError(
                f"takes {count} strings, and more bytes follow them: unexpected additional input data"
            )
        start = position + 4
        if start > end:
            raise ValueError(f"ends within the length of string {len(strings)}: unexpected size for input")
        position = start + _LENGTH.unpack_from(chunk, position)[0]
        if position > end:
            raise ValueError(f"ends within string {len(strings)}: unexpected size for input")
        strings.append(bytes(chunk[start:position]))
    if len(strings) != count:
        raise ValueError(f"takes {count} strings, and {len(strings)} came: unexpected size for input")
    array = np.empty(count, dtype=object)
    array[:] = strings
    return array


def bytes_from_array(array: Array) -> bytes:
    """The array as the extension writes it; raises `ValueError` for a string that is too long."""
    if array.dtype.kind in "OUS":
        try:
            return b"".join(map(_with_length, array.ravel().tolist()))
        except UnicodeEncodeError as error:
            raise ValueError(f"has a string that cannot be written as UTF-8: {error.reason}") from None
    if array.dtype.byteorder == ">":
        array = array.astype(array.dtype.newbyteorder("<"))
    return array.tobytes()


def _with_length(value: str | bytes) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    if len(data) > _MAX_BYTES:
        raise ValueError("has a string of more than 4 GiB, which the binary form cannot say")
    return _LENGTH.pack(len(data)) + data
