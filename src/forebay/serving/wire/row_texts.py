"""Outputs → the JSON of rows, without a Python object for each number: orjson writes them, we place them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import orjson

from forebay.core import Array, Signature, Tensors, TensorSpec
from forebay.core.errors import Broken, Unsupported
from forebay.serving.wire.datatypes import BF16, FORMS, bf16_to_float32, flat_native

_KEPT_TEMPLATES = 1024


class Template:
    """What a row of one signature's outputs looks like, with a `%b` for each value."""

    def __init__(self, signature: Signature) -> None:
        self.signature = signature
        self._batches = signature.batches
        self._widths = [width_of(spec) if self._batches else 0 for spec in signature.outputs]
        patterns = map(_pattern_of, signature.outputs, self._widths)
        self._row = b"{" + b",".join(patterns) + b"}"

    def rows_of(self, outputs: Tensors) -> bytes:
        """All rows, with commas between them."""
        texts: list[Sequence[bytes]] = []
        for spec, width in zip(self.signature.outputs, self._widths, strict=True):
            texts += _columns_of(spec, width, self._array_of(spec, outputs))
        try:
            return b",".join(map(self._row.__mod__, zip(*texts, strict=True)))
        except ValueError:
            raise Broken("the model's outputs differ in their number of rows") from None

    def _array_of(self, spec: TensorSpec, outputs: Tensors) -> Array:
        array = outputs.get(spec.name)
        if array is None or array.ndim != len(spec.shape):
            came = "is missing" if array is None else f"has the shape {list(array.shape)}"
            raise Broken(f"the model's output {spec.name!r} {came}; its signature says {list(spec.shape)}")
        if FORMS[spec.datatype] is BF16:
            array = bf16_to_float32(array)
        return array if self._batches else array[np.newaxis]


def _columns_of(spec: TensorSpec, width: int, array: Array) -> list[list[bytes]]:
    """The texts of one output, a list for each `%b` of the row."""
    if not width:
        return [[_nested(row) for row in array]]
    if array.size != len(array) * width:
        raise Broken(f"the model's output {spec.name!r} has {array.shape[1]} columns, and not {width}")
    texts = _texts(array)
    return [texts[at::width] for at in range(width)]


def width_of(spec: TensorSpec) -> int:
    """How many values of this output a row shows one by one; 0 for nested lists."""
    rest = spec.shape[1:]
    if rest in ((), (1,)):
        return 1
    return rest[0] if len(rest) == 1 and len(spec.columns) == rest[0] else 0


def _pattern_of(spec: TensorSpec, width: int) -> bytes:
    name = _name(spec.name)
    if len(spec.columns) != width or not width:
        return name + b":%b"
    return name + b":{" + b",".join(_name(column) + b":%b" for column in spec.columns) + b"}"


def _name(text: str) -> bytes:
    return _text(text).replace(b"%", b"%%")


def _nested(array: Array) -> bytes:
    if array.ndim == 0:
        return _texts(array)[0]
    items = _texts(array) if array.ndim == 1 else map(_nested, array)
    return b"[" + b",".join(items) + b"]"


def _texts(array: Array) -> list[bytes]:
    """Each value as JSON, in order."""
    if array.dtype.kind in "OUS":
        return [_text(value) for value in array.ravel().tolist()]
    if not array.size:
        return []
    return orjson.dumps(flat_native(array), option=orjson.OPT_SERIALIZE_NUMPY)[1:-1].split(b",")


def _text(value: str | bytes) -> bytes:
    try:
        return orjson.dumps(value.decode() if isinstance(value, bytes) else value)
    except (UnicodeDecodeError, TypeError) as error:
        raise Unsupported("an output holds bytes that are no UTF-8; ask for it in binary, at /v2") from error


_templates: dict[int, Template] = {}


def template_for(signature: Signature) -> Template:
    """The template of *signature*, made once for each object."""
    template = _templates.get(id(signature))
    if template is None or template.signature is not signature:
        if len(_templates) >= _KEPT_TEMPLATES:
            _templates.clear()
        template = _templates[id(signature)] = Template(signature)
    return template
