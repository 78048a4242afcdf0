"""Binary requests repeat themselves: a client's JSON head is the same, byte for byte, call after call.

So a head whose tensors are all binary is read once and remembered; what is left of a request is to
lay the arrays over its bytes. The same holds for the heads of binary answers.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec
import numpy as np
import orjson

from forebay.core import Array
from forebay.core.errors import Malformed
from forebay.serving.wire.binary import array_from_bytes
from forebay.serving.wire.call import Call
from forebay.serving.wire.datatypes import BOOL, BYTES, Form, form_of
from forebay.serving.wire.values import elements_in

MOST_HEAD_BYTES = 2048
_REMEMBERED = 1024
_ALIGNMENT = 8


class Tensor(msgspec.Struct, frozen=True):
    """One input as a head describes it.

    `plain` when its bytes need no look before they are an array; `wrong` says why they can never be one.
    """

    name: str
    form: Form
    shape: tuple[int, ...]
    size: int
    plain: bool
    wrong: str


class Head(msgspec.Struct, frozen=True):
    """A request without its bytes. `size` is what all tensors take together."""

    call: Call
    tensors: tuple[Tensor, ...]
    size: int

    def filled(self, body: bytes, start: int, model: str, version: str | None) -> Call:
        """The call whose tensors stand in *body* from *start* on; raises `Malformed`."""
        if len(body) - start != self.size:
            self._refuse(len(body) - start)
        inputs: dict[str, Array] = {}
        for tensor in self.tensors:
            inputs[tensor.name] = _array_at(body, start, tensor)
            start += tensor.size
        return self.call.with_inputs(inputs, model, version)

    def _refuse(self, there: int) -> None:
        for tensor in self.tensors:
            if tensor.size > there:
                raise Malformed(
                    f"input {tensor.name!r} has an unexpected size for input: "
                    f"it wants {tensor.size} bytes, and {there} are left"
                )
            there -= tensor.size
        raise Malformed(f"unexpected additional input data: {there} bytes follow the last binary tensor")


def tensor_in(name: str, form: Form, shape: tuple[int, ...], size: int) -> Tensor:
    """An input of *size* bytes; raises `ValueError` for a shape that no memory can hold."""
    takes = elements_in(shape, form.size_bytes) * form.size_bytes
    wrong = ""
    if form is not BYTES and size != takes:
        wrong = (
            f"has an unexpected size for input: {size} bytes came, and the shape {list(shape)} "
            f"of {form.datatype} takes {takes}"
        )
    plain = form is not BYTES and form is not BOOL and size > 0
    return Tensor(name, form, shape, size, plain and not wrong, wrong)


def _array_at(body: bytes, start: int, tensor: Tensor) -> Array:
    form, shape = tensor.form, tensor.shape
    if not tensor.plain:
        if tensor.wrong:
            raise Malformed(f"input {tensor.name!r} {tensor.wrong}")
        try:
            return array_from_bytes(memoryview(body)[start : start + tensor.size], form, shape)
        except ValueError as why:
            raise Malformed(f"input {tensor.name!r} {why}") from None
    array = np.frombuffer(body, form.dtype, tensor.size // form.size_bytes, start).reshape(shape)
    return array if array.flags.aligned else array.copy()


class Described(msgspec.Struct, frozen=True):
    """An output as the head of an answer describes it."""

    name: str
    dtype: np.dtype[np.generic]
    shape: tuple[int, ...]


@lru_cache(maxsize=_REMEMBERED)
def answer_head(model: str, version: str | None, outputs: tuple[Described, ...]) -> bytes:
    """The JSON before the bytes of *outputs*; its end is padded so that they can be read where they are."""
    tensors = [
        _tensor(each) | {"parameters": {"binary_data_size": elements_in(each.shape, 1) * each.dtype.itemsize}}
        for each in outputs
    ]
    head = orjson.dumps(_names(model, version) | {"outputs": tensors})
    return head + b" " * (-len(head) % _ALIGNMENT)


@lru_cache(maxsize=_REMEMBERED)
def answer_text(model: str, version: str | None, outputs: tuple[Described, ...]) -> list[bytes]:
    """The JSON around the numbers of *outputs*: before the first, between two, behind the last.

    >>> answer_text("m", None, (Described("y", np.dtype("f4"), (1, 2)),))
    [b'{"model_name":"m","outputs":[{"name":"y","shape":[1,2],"datatype":"FP32","data":', b'}]}']
    """
    begun = orjson.dumps(_names(model, version))[:-1] + b',"outputs":['
    texts = [orjson.dumps(_tensor(each))[:-1] + b',"data":' for each in outputs]
    return [begun + texts[0], *(b"}," + text for text in texts[1:]), b"}]}"]


def _names(model: str, version: str | None) -> dict[str, Any]:
    return {"model_name": model} if version is None else {"model_name": model, "model_version": version}


def _tensor(output: Described) -> dict[str, Any]:
    datatype = form_of(np.empty(0, output.dtype)).datatype
    return {"name": output.name, "shape": output.shape, "datatype": datatype}
