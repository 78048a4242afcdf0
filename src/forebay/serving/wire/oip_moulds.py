"""JSON requests repeat themselves, too: around its numbers a client writes the same text call after call.

    {"inputs": [{"name": "x", …, "data": | [0.5, 1.25, …] | }]}
                 before                      numbers        behind

What stands around the numbers of a request's one tensor is read once and remembered as a mould; of the
next request only the numbers are read. Text that reads well with `[1]` between and with `[2]`, and shows
just these as the tensor's data, reads as well with any other list there: nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from forebay.core import Array
from forebay.core.errors import ForebayError
from forebay.serving.wire.call import Call
from forebay.serving.wire.datatypes import FORMS, Form
from forebay.serving.wire.document import LISTS, OBJECTS, plain, read_document
from forebay.serving.wire.values import check_nesting, elements_in, numbers_from, shape_from

_LEAST_BODY_BYTES = 512
_MOST_TEXT_BYTES = 2048
_REMEMBERED = 1024
_DATA = b'"data"'

Reader = Callable[[Any], Call]
"""Makes a call of a document."""


class Mould(msgspec.Struct, frozen=True):
    """A request without the numbers of its one tensor, which is called *name*."""

    call: Call
    name: str
    form: Form
    shape: tuple[int, ...]
    count: int

    def filled(self, numbers: bytes, model: str, version: str | None) -> Call | None:
        """The call with *numbers*, a JSON list; None where they do not fit: the long way says why."""
        try:
            array = read_document(numbers, self._array_from)
        except (ForebayError, ValueError):
            return None
        if array is None:
            return None
        return self.call.with_inputs({self.name: array}, model, version)

    def _array_from(self, data: Any) -> Array | None:
        array = numbers_from(data, self.form)
        return array.reshape(self.shape) if array is not None and array.size == self.count else None


class Moulds:
    """The moulds of one process: made when the same text comes a second time, for most never do."""

    def __init__(self, read: Reader) -> None:
        self._read = read
        self._seen: set[int] = set()
        self._moulds: dict[tuple[bytes, bytes], Mould | None] = {}

    def call_in(self, body: bytes, model: str, version: str | None) -> Call | None:
        """The call in *body*; None unless a known mould fits it."""
        if len(body) < _LEAST_BODY_BYTES:
            return None
        end = body.find(b"]", body.find(_DATA)) + 1
        start = body.rfind(b"[", 0, end)
        if start < 0 or start + len(body) - end > _MOST_TEXT_BYTES:
            return None
        text = (body[:start], body[end:])
        mould = self._moulds.get(text)
        if mould is None:
            mould = self._new(text)
        return None if mould is None else mould.filled(body[start:end], model, version)

    def _new(self, text: tuple[bytes, bytes]) -> Mould | None:
        if text in self._moulds or not self._seen_before(hash(text)):
            return None
        if len(self._moulds) >= _REMEMBERED:
            self._moulds.clear()
        made = self._moulds[text] = _made(*text, self._read)
        return made

    def _seen_before(self, text: int) -> bool:
        if text in self._seen:
            return True
        if len(self._seen) >= _REMEMBERED:
            self._seen.clear()
        self._seen.add(text)
        return False


def _made(before: bytes, behind: bytes, read: Reader) -> Mould | None:
    """The mould of a text around numbers; None if it is no good request with one tensor of numbers."""
    try:
        mould, other = (
            read_document(b"%b[%d]%b" % (before, probe, behind), lambda found: _sketch(plain(found), read))
            for probe in (1, 2)
        )
    except (ForebayError, ValueError):
        return None
    if mould is None or other is None or (mould[1], other[1]) != (1, 2):
        return None
    return mould[0]


def _sketch(document: Any, read: Reader) -> tuple[Mould, Any] | None:
    """What *document* says around its one number, and that number; raises `ValueError`, `Malformed`."""
    tensors = document.get("inputs") if isinstance(document, OBJECTS) else None
    if not isinstance(tensors, LISTS) or len(tensors) != 1 or not isinstance(tensors[0], OBJECTS):
        return None
    tensor = tensors[0]
    form = FORMS.get(str(tensor.get("datatype")))
    if form is None or not form.wide or tensor.get("parameters"):
        return None
    shape = shape_from(tensor.get("shape"))
    count = elements_in(shape, form.size_bytes)
    depth, probe = _unwrapped(tensor.get("data"))
    check_nesting((1,) * (depth - 1) + (count,), shape)
    call = read({**document, "inputs": [{**tensor, "shape": [0], "data": []}]})
    return Mould(call, next(iter(call.inputs)), form, shape, count), probe


def _unwrapped(data: Any) -> tuple[int, Any]:
    """How many lists are around the one value in *data*, and that value."""
    depth = 0
    while isinstance(data, LISTS) and len(data) == 1:
        depth, data = depth + 1, data[0]
    return depth, data
