"""The Open Inference Protocol v2 over gRPC: requests and answers, both ends.

Requests may carry their tensors as typed `contents` or as `raw_input_contents`, but not both; answers
always carry `raw_output_contents`, which every client reads. As over HTTP, a client's messages are
the same but for the tensors' bytes: what stands before these is read once and remembered.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from google.protobuf.message import DecodeError

from forebay.core import Array, Tensors
from forebay.core.errors import Malformed, Unsupported
from forebay.serving.wire.binary import array_from_bytes, bytes_from_array
from forebay.serving.wire.call import Answer, Call
from forebay.serving.wire.classes import classes_from
from forebay.serving.wire.datatypes import BF16, BOOL, BYTES, Form, form_of
from forebay.serving.wire.oip_grpc_tensors import (
    array_from_contents,
    fill_contents,
    fill_parameters,
    form_in,
    parameters_in,
    refuse_shared_memory,
    shape_in,
)
from forebay.serving.wire.proto_files import Protocol
from forebay.serving.wire.values import elements_in

PROTOCOL = Protocol("open_inference.proto")
_Request = PROTOCOL.message("inference.ModelInferRequest")
_Response = PROTOCOL.message("inference.ModelInferResponse")
_StreamResponse = PROTOCOL.message("inference.ModelStreamInferResponse")

_MOST_HEAD_BYTES = 2048
_REMEMBERED = 1024
_ID, _RAW_IN, _RAW_OUT, _STREAMED = 0x1A, 0x3A, 0x32, 0x12  # tags: field number · 8 + 2 (bytes with a length)


# --- requests, as a server reads them ---


def decode_request(message: bytes) -> Call:
    """The call in a `ModelInferRequest`; raises `Malformed`, or `Unsupported` for what we have not."""
    parts = _parts_of(message)
    if parts is not None:
        head = _head_of(parts.head)
        if len(head.tensors) == len(parts.raw):
            return _filled(head, parts, message)
    return _call_from(_parsed(message))


class _Parts(NamedTuple):
    """A request as bytes: what comes before the tensors without the id, the id, and where each tensor is."""

    head: bytes
    id: bytes
    raw: list[tuple[int, int]]


class _Tensor(NamedTuple):
    name: str
    form: Form
    shape: tuple[int, ...]
    size: int
    plain: bool


class _Head(NamedTuple):
    call: Call
    tensors: tuple[_Tensor, ...]


def _parts_of(message: bytes) -> _Parts | None:
    """None for what is not written as usual: small fields first, then nothing but raw tensors."""
    position, end, id_at, id_end, said = 0, len(message), 0, 0, b""
    raw: list[tuple[int, int]] = []
    head_end = 0
    try:
        while position < end:
            tag = message[position]
            size, start = _varint(message, position + 1)
            after = start + size
            if tag == _RAW_IN:
                head_end = head_end if raw else position
                raw.append((start, size))
            elif raw or tag & 7 != 2 or tag >= 0x80:
                return None
            elif tag == _ID:
                if id_end:
                    return None
                id_at, id_end, said = position, after, message[start:after]
            position = after
    except IndexError:
        return None
    if position != end or not raw or head_end > _MOST_HEAD_BYTES:
        return None
    return _Parts(message[:id_at] + message[id_end:head_end], said, raw)


def _varint(message: bytes, position: int) -> tuple[int, int]:
    byte = message[position]
    if byte < 0x80:
        return byte, position + 1
    value, shift = byte & 0x7F, 7
    while byte >= 0x80:
        position += 1
        byte = message[position]
        value |= (byte & 0x7F) << shift
        shift += 7
        if shift > 63:
            raise IndexError("no length has more than nine bytes")
    return value, position + 1


@lru_cache(maxsize=_REMEMBERED)
def _head_of(head: bytes) -> _Head:
    request = _parsed(head)
    tensors = []
    for name, tensor in _named(request.inputs):
        try:
            _refuse_contents(tensor)
            form, shape = form_in(tensor), shape_in(tensor)
            size = elements_in(shape, form.size_bytes) * form.size_bytes
        except ValueError as why:
            raise Malformed(f"input {name!r} {why}") from None
        tensors.append(_Tensor(name, form, shape, size, form not in (BYTES, BOOL) and size > 0))
    return _Head(_call_without_inputs(request, [t.name for t in tensors if t.form is BF16]), tuple(tensors))


def _filled(head: _Head, parts: _Parts, message: bytes) -> Call:
    inputs: Tensors = {}
    for tensor, (start, size) in zip(head.tensors, parts.raw, strict=True):
        form, shape = tensor.form, tensor.shape
        if tensor.plain and size == tensor.size:
            array = np.frombuffer(message, form.dtype, size // form.size_bytes, start).reshape(shape)
            inputs[tensor.name] = array if array.flags.aligned else array.copy()
            continue
        try:
            inputs[tensor.name] = array_from_bytes(memoryview(message)[start : start + size], form, shape)
        except ValueError as why:
            raise Malformed(f"input {tensor.name!r} {why}") from None
    call = head.call
    return Call(
        call.model,
        inputs,
        call.version,
        _text(parts.id) or None,
        call.outputs,
        parameters=call.parameters and dict(call.parameters),
        timeout_s=call.timeout_s,
        bf16=call.bf16,
        classes=call.classes,
    )


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise Malformed("the request's id is not UTF-8") from None


def _parsed(message: bytes) -> Any:
    try:
        return _Request.FromString(message)
    except DecodeError:
        raise Malformed("the message is no inference.ModelInferRequest, or it is cut short") from None


def _call_from(request: Any) -> Call:
    raw = request.raw_input_contents
    if raw and len(raw) != len(request.inputs):
        raise Malformed(
            f"there are {len(request.inputs)} inputs and {len(raw)} raw_input_contents; "
            "send one for each input, in the same order, or none"
        )
    arrays: Tensors = {}
    bf16 = []
    for number, (name, tensor) in enumerate(_named(request.inputs)):
        try:
            form, shape = form_in(tensor), shape_in(tensor)
            if raw:
                _refuse_contents(tensor)
                arrays[name] = array_from_bytes(memoryview(raw[number]), form, shape)
            else:
                refuse_shared_memory(tensor.parameters)
                arrays[name] = array_from_contents(tensor, form, shape)
        except ValueError as why:
            raise Malformed(f"input {name!r} {why}") from None
        if form is BF16:
            bf16.append(name)
    call = _call_without_inputs(request, bf16)
    call.inputs = arrays
    call.id = request.id or None
    return call


def _named(tensors: Any) -> list[tuple[str, Any]]:
    seen: dict[str, Any] = {tensor.name: tensor for tensor in tensors}
    if len(seen) != len(tensors) or "" in seen:
        raise Malformed(f"every tensor has a name of its own; they are {[tensor.name for tensor in tensors]}")
    return list(seen.items())


def _refuse_contents(tensor: Any) -> None:
    refuse_shared_memory(tensor.parameters)
    if tensor.HasField("contents"):
        raise ValueError("has typed contents beside raw_input_contents; send one of them for all inputs")


def _call_without_inputs(request: Any, bf16: list[str]) -> Call:
    said = parameters_in(request.parameters)
    timeout_us = said.pop("timeout", 0)
    if type(timeout_us) is not int or timeout_us < 0:
        raise Malformed("'timeout' is a whole number of microseconds")
    names = [name for name, _ in _named(request.outputs)]
    classes: dict[str, int] = {}
    for output in request.outputs:
        if not output.parameters:
            continue
        wanted = parameters_in(output.parameters)
        if "shared_memory_region" in wanted:
            raise Unsupported("the output parameter 'shared_memory_region' is not served here; leave it out")
        if best := classes_from(output.name, wanted.get("classification")):
            classes[output.name] = best
    return Call(
        request.model_name,
        {},
        request.model_version or None,
        outputs=tuple(names),
        parameters=said,
        timeout_s=timeout_us / 1e6 if timeout_us else None,
        bf16=tuple(bf16),
        classes=classes,
    )


# --- answers, as a server writes them ---


def encode_answer(answer: Answer, call: Call) -> bytes:
    """A `ModelInferResponse`; raises `Malformed` when *call* wants an output that there is not."""
    described: list[_Described] = []
    parts: list[bytes] = [b""]
    if answer.id is not None:
        said = answer.id.encode()
        parts += (bytes((_ID,)), _length(said), said)
    for name in call.outputs or answer.outputs:
        array = answer.outputs.get(name)
        if array is None:
            raise Malformed(f"the model has no output {name!r}; it has {list(answer.outputs)}")
        data = _written("output", name, array, bytes_from_array)
        described.append(_Described(name, name in answer.bf16, array.dtype, array.shape))
        parts += (b"\x32", _length(data), data)
    parts[0] = _answer_head(answer.model, answer.version, tuple(described))
    return b"".join(parts)


def encode_final(answer: Answer) -> bytes:
    """The last, empty `ModelInferResponse` of a request on a stream that asked for one."""
    response = _Response(model_name=answer.model, model_version=answer.version or "", id=answer.id or "")
    response.parameters["triton_final_response"].bool_param = True
    return bytes(response.SerializeToString())


def streamed(response: bytes) -> bytes:
    """A `ModelStreamInferResponse` around a `ModelInferResponse`."""
    return b"".join((bytes((_STREAMED,)), _length(response), response))


def encode_stream_error(message: str, request_id: str | None) -> bytes:
    """A `ModelStreamInferResponse` that says why one request failed; the stream goes on."""
    response = _StreamResponse(error_message=message.encode(errors="replace").decode())
    if request_id:
        response.infer_response.id = request_id
    return bytes(response.SerializeToString())


class _Described(NamedTuple):
    name: str
    bf16: bool
    dtype: np.dtype[Any]
    shape: tuple[int, ...]


@lru_cache(maxsize=_REMEMBERED)
def _answer_head(model: str, version: str | None, outputs: tuple[_Described, ...]) -> bytes:
    response = _Response(model_name=model, model_version=version or "")
    for output in outputs:
        form = BF16 if output.bf16 else form_of(np.empty(0, output.dtype))
        response.outputs.add(name=output.name, datatype=form.datatype.value, shape=output.shape)
    return bytes(response.SerializeToString())


def _length(data: bytes) -> bytes:
    """The length of *data* as protobuf writes it, seven bits at a time."""
    size = len(data)
    if size < 0x80:
        return bytes((size,))
    out = bytearray()
    while size >= 0x80:
        out.append(size & 0x7F | 0x80)
        size >>= 7
    out.append(size)
    return bytes(out)


def _written(what: str, name: str, array: Array, write: Callable[[Array], bytes]) -> bytes:
    try:
        return write(array)
    except ValueError as why:
        raise Malformed(f"{what} {name!r} {why}") from None


# --- the client's end ---


def encode_request(call: Call, *, raw: bool = True) -> bytes:
    """A `ModelInferRequest`, its tensors raw or as typed contents; raises `Malformed`."""
    request = _Request(model_name=call.model, model_version=call.version or "", id=call.id or "")
    timeout = {} if call.timeout_s is None else {"timeout": max(1, round(call.timeout_s * 1e6))}
    fill_parameters(request.parameters, call.parameters | timeout)
    for name, array in call.inputs.items():
        try:
            form = BF16 if name in call.bf16 else form_of(array)
            tensor = request.inputs.add(name=name, datatype=form.datatype.value, shape=array.shape)
            if raw:
                request.raw_input_contents.append(bytes_from_array(array))
            else:
                fill_contents(tensor, array, form)
        except ValueError as why:
            raise Malformed(f"input {name!r} {why}") from None
    for name in call.outputs:
        request.outputs.add(name=name)
    return bytes(request.SerializeToString())


def decode_answer(message: bytes) -> Answer:
    """The answer in a `ModelInferResponse`; raises `Malformed`."""
    try:
        response = _Response.FromString(message)
    except DecodeError:
        raise Malformed("the message is no inference.ModelInferResponse; is this a model server?") from None
    raw = response.raw_output_contents
    outputs: Tensors = {}
    bf16 = []
    for number, (name, tensor) in enumerate(_named(response.outputs)):
        try:
            form, shape = form_in(tensor), shape_in(tensor)
            if number < len(raw):
                outputs[name] = array_from_bytes(memoryview(raw[number]), form, shape)
            else:
                outputs[name] = array_from_contents(tensor, form, shape)
        except ValueError as why:
            raise Malformed(f"output {name!r} {why}") from None
        if form is BF16:
            bf16.append(name)
    version = response.model_version or None
    return Answer(response.model_name, version, outputs, response.id or None, tuple(bf16))


def decode_stream_answer(message: bytes) -> Answer | str:
    """The answer in a `ModelStreamInferResponse`, or the message of its error; raises `Malformed`."""
    try:
        response = _StreamResponse.FromString(message)
    except DecodeError:
        raise Malformed("the message is no inference.ModelStreamInferResponse") from None
    if response.error_message:
        return str(response.error_message)
    return decode_answer(response.infer_response.SerializeToString())
