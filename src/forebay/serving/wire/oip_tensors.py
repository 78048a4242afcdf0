"""Tensors in a document of the Open Inference Protocol: their JSON, and their bytes behind it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import orjson

from forebay.core import Array, Tensors
from forebay.core.errors import Malformed, Unsupported
from forebay.serving.wire.binary import array_from_bytes, bytes_from_array
from forebay.serving.wire.datatypes import BF16, BYTES, FORMS, Form, bf16_to_float32, flat_native, form_of
from forebay.serving.wire.document import OBJECTS, plain
from forebay.serving.wire.oip_heads import Tensor, tensor_in
from forebay.serving.wire.values import array_from, shape_from

_ALIGNMENT = 8


class Tail:
    """The bytes behind the JSON, taken tensor by tensor."""

    __slots__ = ("_position", "_view")

    def __init__(self, view: memoryview) -> None:
        self._view = view
        self._position = 0

    def take(self, size: int) -> memoryview:
        """The next *size* bytes; raises `ValueError`."""
        start = self._position
        left = len(self._view) - start
        if size > left:
            raise ValueError(f"has an unexpected size for input: it wants {size} bytes, and {left} are left")
        self._position = start + size
        return self._view[start : start + size]

    def tensor(self, _name: str, form: Form, shape: tuple[int, ...], size: int) -> Array:
        """The next tensor; raises `ValueError`."""
        return array_from_bytes(self.take(size), form, shape)

    def finish(self) -> None:
        """Raise `Malformed` if bytes are left that no tensor has taken."""
        left = len(self._view) - self._position
        if left:
            raise Malformed(f"unexpected additional input data: {left} bytes follow the last binary tensor")


class Sketch(Tail):
    """Stands in for the bytes when only their description is there: notes which tensors would be taken."""

    __slots__ = ("tensors",)

    def __init__(self) -> None:
        super().__init__(memoryview(b""))
        self.tensors: list[Tensor] = []

    def tensor(self, _name: str, form: Form, shape: tuple[int, ...], size: int) -> Array:
        self.tensors.append(tensor_in(_name, form, shape, size))
        return np.empty(0, form.dtype)


def fields_of(document: Any, what: str) -> list[str]:
    """The keys of an object; raises `Malformed` if it is none.

    Ask these before the object: to be asked for a key that it has not costs simdjson 2 µs.
    """
    if not isinstance(document, OBJECTS):
        raise Malformed(f"{what} is a JSON object, with the fields of the Open Inference Protocol v2")
    return list(document)


def read_tensors(tensors: Any, tail: Tail | None, what: str) -> tuple[Tensors, tuple[str, ...]]:
    """All tensors of a document, and the names of those that are BF16; raises `Malformed`."""
    arrays: Tensors = {}
    bf16: list[str] = []
    for tensor in tensors:
        keys = fields_of(tensor, f"an {what}")
        name = tensor["name"] if "name" in keys else None
        if not isinstance(name, str) or name in arrays:
            raise Malformed(f"every {what} has a 'name' of its own; {what} {len(arrays)} has {plain(name)!r}")
        try:
            form = _form_from(tensor, keys)
            arrays[name] = _tensor_from(name, tensor, keys, form, tail)
        except ValueError as why:
            raise Malformed(f"{what} {name!r} {why}") from None
        if form is BF16:
            bf16.append(name)
    if tail is not None:
        tail.finish()
    return arrays, tuple(bf16)


def _form_from(tensor: Any, keys: list[str]) -> Form:
    said = tensor["datatype"] if "datatype" in keys else None
    form = FORMS.get(said) if isinstance(said, str) else None
    if form is None:
        raise ValueError(f"has the datatype {plain(said)!r}; there are {', '.join(FORMS)}")
    return form


def _tensor_from(name: str, tensor: Any, keys: list[str], form: Form, tail: Tail | None) -> Array:
    shape = shape_from(tensor["shape"] if "shape" in keys else None)
    size = _binary_size(tensor["parameters"]) if "parameters" in keys else None
    if size is None:
        return array_from(tensor["data"] if "data" in keys else None, form, shape)
    if "data" in keys:
        raise ValueError("has both 'data' and 'binary_data_size'; send one of them")
    if tail is None:
        raise ValueError("says 'binary_data_size', but there is no header Inference-Header-Content-Length")
    return tail.tensor(name, form, shape, size)


def _binary_size(parameters: Any) -> int | None:
    if parameters is None:
        return None
    if not isinstance(parameters, OBJECTS):
        raise ValueError("has 'parameters' that are no object")  # noqa: TRY004  # the caller's mistake, not ours
    said = plain(parameters)
    if said.get("shared_memory_region") is not None:
        raise Unsupported("shared memory is not served here; send the data in the request")
    size = said.get("binary_data_size")
    if size is not None and (type(size) is not int or size < 0):
        raise ValueError(f"has the 'binary_data_size' {size!r}; it is a number of bytes")
    return size


def write_tensor(
    name: str, array: Array, bf16: bool, binary: bool, what: str
) -> tuple[dict[str, Any], bytes | None]:
    """One tensor: its part of the JSON, and its bytes behind the JSON."""
    try:
        form = BF16 if bf16 else form_of(array)
        tensor: dict[str, Any] = {"name": name, "shape": array.shape, "datatype": form.datatype}
        if not binary:
            tensor["data"] = _jsonable(array, form)
            return tensor, None
        tail = bytes_from_array(array)
    except ValueError as why:
        raise Malformed(f"{what} {name!r} {why}") from None
    tensor["parameters"] = {"binary_data_size": len(tail)}
    return tensor, tail


def _jsonable(array: Array, form: Form) -> Any:
    if form is BYTES:
        values = array.ravel().tolist()
        try:
            return [value.decode() if isinstance(value, bytes) else str(value) for value in values]
        except UnicodeDecodeError:
            raise ValueError(
                "has bytes that are no UTF-8, which JSON cannot say; use the binary form"
            ) from None
    return flat_native(bf16_to_float32(array) if form is BF16 else array)


def write_document(document: dict[str, Any], tails: list[bytes]) -> tuple[bytes, int | None]:
    """The body, and how much of it is JSON if there are *tails*."""
    head = _json(document)
    if not tails:
        return head, None
    # White space at the end of the JSON lets the reader use the numbers where they are.
    head += b" " * (-len(head) % _ALIGNMENT)
    return b"".join((head, *tails)), len(head)


def _json(document: dict[str, Any]) -> bytes:
    try:
        body = orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)
    except TypeError as error:  # half of a surrogate pair
        raise Malformed(f"this cannot be written as JSON: {error}") from error
    # orjson writes NaN and infinities as null; clients of this protocol know the bare tokens.
    if b"null" not in body:
        return body
    return json.dumps(document, default=np.ndarray.tolist, ensure_ascii=False, separators=(",", ":")).encode()
