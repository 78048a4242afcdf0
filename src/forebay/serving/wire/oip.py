"""The Open Inference Protocol v2 over HTTP, with the binary tensor extension: both ends.

    JSON | bytes of the first binary tensor | bytes of the second …

The header `Inference-Header-Content-Length` says where the JSON ends; without it all is JSON. A
request whose header is 0 is the one input tensor itself. Everything that cannot be read raises
`Malformed`; what the protocol has and Forebay has not (shared memory, …) raises `Unsupported`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from itertools import chain, zip_longest
from typing import Any

import orjson

from forebay.core import Signature
from forebay.core.errors import Malformed, Unsupported
from forebay.serving.wire.binary import bytes_from_array
from forebay.serving.wire.call import Answer, Call
from forebay.serving.wire.classes import classes_from
from forebay.serving.wire.datatypes import flat_native
from forebay.serving.wire.document import LISTS, OBJECTS, plain, read_document
from forebay.serving.wire.oip_heads import MOST_HEAD_BYTES, Described, Head, answer_head, answer_text
from forebay.serving.wire.oip_moulds import Moulds
from forebay.serving.wire.oip_raw import raw_call
from forebay.serving.wire.oip_tensors import (
    Sketch,
    Tail,
    fields_of,
    read_tensors,
    write_document,
    write_tensor,
)

_LONGEST_NUMBER = 19


# --- requests, as a server reads them ---


def json_size_from(header: str | bytes | None, body_bytes: int) -> int | None:
    """The header `Inference-Header-Content-Length` as a number within the body; None without the header.

    >>> json_size_from("12", 100)
    12
    """
    if header is None:
        return None
    digits = header.strip()
    size = int(digits) if digits.isdigit() and digits.isascii() and len(digits) <= _LONGEST_NUMBER else -1
    if not 0 <= size <= body_bytes:
        raise Malformed(
            f"the header Inference-Header-Content-Length has to be a number from 0 to {body_bytes}, "
            f"the size of the body; it is {header[:40]!r}"
        )
    return size


def decode_request(
    body: bytes,
    json_size: int | None,
    model: str,
    version: str | None,
    signature: Signature | None = None,
) -> Call:
    """The call in *body*, whose first *json_size* bytes are JSON (None: all of it).

    With `json_size` 0 the body is the one input tensor, and *signature* says how to read it.
    """
    if json_size == 0:
        if signature is None:
            raise Malformed("a raw body (Inference-Header-Content-Length: 0) needs a model with one input")
        return raw_call(body, model, version, signature)
    if json_size is None:
        call = _MOULDS.call_in(body, model, version)
        if call is not None:
            return call
        return read_document(body, lambda document: _call_from(document, None, model, version))
    if not 0 < json_size <= len(body):
        raise Malformed(f"the JSON is said to have {json_size} bytes, and the body has {len(body)}")
    said = body[:json_size]
    if json_size <= MOST_HEAD_BYTES and (head := _head_of(said)) is not None:
        return head.filled(body, json_size, model, version)
    tail = Tail(memoryview(body)[json_size:])
    return read_document(said, lambda document: _call_from(document, tail, model, version))


@lru_cache(maxsize=1024)
def _head_of(said: bytes) -> Head | None:
    """What stands in a head, if all of its tensors are binary; raises `Malformed`, and forgets those."""
    sketch = Sketch()
    call = read_document(said, lambda document: _call_from(document, sketch, "", None))
    if len(sketch.tensors) != len(call.inputs):
        return None
    tensors = tuple(sketch.tensors)
    return Head(call, tensors, sum(tensor.size for tensor in tensors))


def _call_from(document: Any, tail: Tail | None, model: str, version: str | None) -> Call:
    keys = fields_of(document, "an inference request")
    tensors = document["inputs"] if "inputs" in keys else None
    if not isinstance(tensors, LISTS):
        raise Malformed("an inference request has a list 'inputs'")
    call = Call(model, {}, version)
    call.inputs, call.bf16 = read_tensors(tensors, tail, "input")
    if "id" in keys:
        call.id = _id_from(document["id"])
    if "parameters" in keys:
        _read_parameters(call, document["parameters"])
    if "outputs" in keys:
        _read_wanted(call, document["outputs"])
    return call


def _id_from(said: Any) -> str | None:
    if said is not None and not isinstance(said, str):
        raise Malformed("'id' is a string")
    return said


def _read_parameters(call: Call, parameters: Any) -> None:
    if parameters is None:
        return
    if not isinstance(parameters, OBJECTS):
        raise Malformed("'parameters' is an object")
    said = {key: value for key, value in plain(parameters).items() if value is not None}
    call.parameters = said
    binary = said.pop("binary_data_output", False)
    if not isinstance(binary, bool):
        raise Malformed("'binary_data_output' is true or false")
    call.binary = binary
    timeout_us = said.pop("timeout", 0)
    if type(timeout_us) is not int or timeout_us < 0:
        raise Malformed("'timeout' is a whole number of microseconds")
    call.timeout_s = timeout_us / 1e6 if timeout_us else None


def _read_wanted(call: Call, outputs: Any) -> None:
    if outputs is None:
        return
    if not isinstance(outputs, LISTS):
        raise Malformed("'outputs' is a list")
    names: list[str] = []
    binary_of: dict[str, bool] = {}
    classes: dict[str, int] = {}
    for output in outputs:
        keys = fields_of(output, "a wanted output")
        name = output["name"] if "name" in keys else None
        if not isinstance(name, str) or name in names:
            raise Malformed(
                f"every wanted output has a 'name' of its own; output {len(names)} has {plain(name)!r}"
            )
        names.append(name)
        said = _output_parameters(name, output["parameters"]) if "parameters" in keys else {}
        if (binary := _wants_binary(name, said)) is not None:
            binary_of[name] = binary
        if best := classes_from(name, said.get("classification")):
            classes[name] = best
    call.outputs, call.binary_of, call.classes = tuple(names), binary_of, classes


def _output_parameters(name: str, parameters: Any) -> dict[str, Any]:
    if parameters is None:
        return {}
    if not isinstance(parameters, OBJECTS):
        raise Malformed(f"output {name!r} has 'parameters' that are no object")
    said: dict[str, Any] = plain(parameters)
    if said.get("shared_memory_region"):
        raise Unsupported("the output parameter 'shared_memory_region' is not served here; leave it out")
    return said


def _wants_binary(name: str, said: dict[str, Any]) -> bool | None:
    binary = said.get("binary_data")
    if binary is not None and not isinstance(binary, bool):
        raise Malformed(f"output {name!r} has a 'binary_data' that is neither true nor false")
    return binary


_MOULDS = Moulds(lambda document: _call_from(document, None, "", None))


# --- answers, as a server writes them ---


def encode_answer(answer: Answer, call: Call) -> tuple[bytes, int | None]:
    """The body, and how much of it is JSON if binary tensors follow (None: all of it).

    Raises `Malformed` when *call* wants an output that there is not, or strings as JSON that are no UTF-8.
    """
    names = call.outputs or tuple(answer.outputs)
    if answer.id is None and not answer.bf16 and (familiar := _familiar(answer, call, names)) is not None:
        return familiar
    outputs, tails = [], []
    for name in names:
        array = answer.outputs.get(name)
        if array is None:
            raise Malformed(f"the model has no output {name!r}; it has {list(answer.outputs)}")
        tensor, tail = write_tensor(name, array, name in answer.bf16, call.wants_binary(name), "output")
        outputs.append(tensor)
        if tail is not None:
            tails.append(tail)
    document: dict[str, Any] = {"model_name": answer.model}
    if answer.version is not None:
        document["model_version"] = answer.version
    if answer.id is not None:
        document["id"] = answer.id
    document["outputs"] = outputs
    return write_document(document, tails)


def _familiar(answer: Answer, call: Call, names: tuple[str, ...]) -> tuple[bytes, int | None] | None:
    """An answer of nothing but numbers, all binary or all JSON, in words that have been written before."""
    binary = bool(names) and call.wants_binary(names[0])
    if call.binary_of and any(call.wants_binary(name) is not binary for name in names):
        return None
    arrays, described = [], []
    for name in names:
        array = answer.outputs.get(name)
        if array is None or (dtype := array.dtype).kind not in "fiub":
            return None
        arrays.append(array)
        described.append(Described(name, dtype, array.shape))
    if not arrays:
        return None
    told = tuple(described)
    if binary:
        head = answer_head(answer.model, answer.version, told)
        return b"".join((head, *map(bytes_from_array, arrays))), len(head)
    between = answer_text(answer.model, answer.version, told)
    numbers = [orjson.dumps(flat_native(each), option=orjson.OPT_SERIALIZE_NUMPY) for each in arrays]
    body = b"".join(chain.from_iterable(zip_longest(between, numbers, fillvalue=b"")))
    return None if b"null" in body else (body, None)  # NaN or an infinity, which orjson cannot write


# --- the client's end ---


def encode_request(call: Call, *, binary: bool = False) -> tuple[bytes, int | None]:
    """The body, and how much of it is JSON if binary tensors follow; *binary* speaks of the inputs."""
    inputs, tails = [], []
    for name, array in call.inputs.items():
        tensor, tail = write_tensor(name, array, name in call.bf16, binary, "input")
        inputs.append(tensor)
        if tail is not None:
            tails.append(tail)
    document: dict[str, Any] = {} if call.id is None else {"id": call.id}
    parameters = dict(call.parameters)
    if call.binary:
        parameters["binary_data_output"] = True
    if call.timeout_s is not None:
        parameters["timeout"] = max(1, round(call.timeout_s * 1e6))
    if parameters:
        document["parameters"] = parameters
    document["inputs"] = inputs
    wanted = call.outputs or tuple(call.binary_of)
    if wanted:
        document["outputs"] = [_wanted(name, call.binary_of) for name in wanted]
    return write_document(document, tails)


def _wanted(name: str, binary_of: Mapping[str, bool]) -> dict[str, Any]:
    if name not in binary_of:
        return {"name": name}
    return {"name": name, "parameters": {"binary_data": binary_of[name]}}


def decode_answer(body: bytes, json_size: int | None) -> Answer:
    """The answer in *body*, whose first *json_size* bytes are JSON (None: all of it)."""
    if json_size is None:
        return read_document(body, lambda document: _answer_from(document, None))
    if not 0 < json_size <= len(body):
        raise Malformed(f"the JSON is said to have {json_size} bytes, and the body has {len(body)}")
    tail = Tail(memoryview(body)[json_size:])
    return read_document(body[:json_size], lambda document: _answer_from(document, tail))


def _answer_from(document: Any, tail: Tail | None) -> Answer:
    keys = fields_of(document, "an inference answer")
    model = document["model_name"] if "model_name" in keys else None
    version = document["model_version"] if "model_version" in keys else None
    tensors = document["outputs"] if "outputs" in keys else None
    if not isinstance(model, str) or not isinstance(version, str | None) or not isinstance(tensors, LISTS):
        raise Malformed("an inference answer has 'model_name' and a list 'outputs'; is this a model server?")
    outputs, bf16 = read_tensors(tensors, tail, "output")
    return Answer(model, version, outputs, _id_from(document["id"]) if "id" in keys else None, bf16)
