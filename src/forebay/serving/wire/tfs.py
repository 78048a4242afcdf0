"""TensorFlow Serving's REST protocol, and KServe v1's predictions, which are its row form. Both ends.

{"instances": [row, …]}                  → {"predictions": [row, …]}
{"inputs": tensor | {name: tensor}}      → {"outputs": tensor | {name: tensor}}
{"examples": [{feature: value}, …]}      → {"results": [[[label, score], …] | number, …]}
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import orjson

from forebay.core import Array, Signature, Tensors, TensorSpec
from forebay.core.errors import Broken, Malformed, Unsupported
from forebay.serving.wire.call import Answer, Call
from forebay.serving.wire.columns import plan_for
from forebay.serving.wire.document import LISTS, OBJECTS, plain, read_document
from forebay.serving.wire.instances import (
    checked_output,
    from_inputs,
    from_instances,
    rows_text,
    tensor_text,
    unpacked,
)
from forebay.serving.wire.rows import from_records

SIGNATURE = "serving_default"
_DTYPES = {
    "BOOL": "DT_BOOL",
    "FP16": "DT_HALF",
    "BF16": "DT_BFLOAT16",
    "FP32": "DT_FLOAT",
    "FP64": "DT_DOUBLE",
    "BYTES": "DT_STRING",
}
"""What TensorFlow calls our datatypes; whole numbers have the same names there."""


class Asked(NamedTuple):
    """A call, and whether its rows go back as rows."""

    call: Call
    by_row: bool


# --- requests, as a server reads them ---


def decode_predict(body: bytes, signature: Signature, model: str, version: str | None) -> Asked:
    """A predict request of either form; raises `Malformed`."""
    inputs, by_row = read_document(body, lambda document: _predict_from(document, signature))
    return Asked(call_of(inputs, signature, model, version), by_row)


def call_of(inputs: Tensors, signature: Signature, model: str, version: str | None) -> Call:
    """A call with *inputs* that were read as *signature* wants them."""
    bf16 = tuple(spec.name for spec in signature.inputs if spec.datatype == "BF16")
    return Call(model, inputs, version, bf16=bf16)


def _predict_from(document: Any, signature: Signature) -> tuple[Tensors, bool]:
    keys = _keys_of(document)
    if ("instances" in keys) is ("inputs" in keys):
        found = "both" if "inputs" in keys else "neither"
        raise Malformed(f"Missing 'inputs' or 'instances' key: exactly one of them is needed, {found} came")
    if "instances" in keys:
        return from_instances(document["instances"], signature), True
    return from_inputs(document["inputs"], signature), False


def _keys_of(document: Any) -> list[str]:
    if not isinstance(document, OBJECTS):
        raise Malformed('the body is a JSON object, as in {"instances": [[…], …]}')
    keys = list(document)
    if "signature_name" in keys:
        check_signature(document["signature_name"])
    return keys


def check_signature(name: Any) -> None:
    """Raise `Malformed` unless *name* is that of the one signature that a model has here."""
    if name not in ("", SIGNATURE):
        raise Malformed(
            f'Serving signature name: "{str(name)[:64]}" not found in signature def; there is "{SIGNATURE}"'
        )


def decode_examples(body: bytes, signature: Signature, model: str, version: str | None) -> Call:
    """A classify or a regress request; raises `Malformed`."""
    inputs = read_document(body, lambda document: _examples_from(document, signature))
    return call_of(inputs, signature, model, version)


def _examples_from(document: Any, signature: Signature) -> Tensors:
    keys = _keys_of(document)
    examples = unpacked(plain(document["examples"])) if "examples" in keys else None
    context = unpacked(plain(document["context"])) if "context" in keys else {}
    if not isinstance(examples, list) or not examples or not isinstance(context, dict):
        raise Malformed("'examples' is a list of objects with a value for each feature")
    for number, example in enumerate(examples):
        if not isinstance(example, dict):
            raise Malformed(f"example {number} is no object with a value for each feature")
        if twice := example.keys() & context.keys():
            raise Malformed(f"the feature {min(twice)!r} stands in the context and in example {number}")
    return inputs_of_examples([context | example for example in examples], signature)


def inputs_of_examples(examples: list[dict[str, Any]], signature: Signature) -> Tensors:
    """Inputs from features by name, of tensors or of a table's columns; raises `Malformed`."""
    plan = plan_for(signature)
    if not plan.takes_rows:
        raise Malformed("this model does not take examples; ask it to predict")
    names = {spec.name for spec in signature.inputs}
    if examples[0].keys() == names and not names <= plan.positions.keys():
        return from_instances(examples, signature)
    return from_records([{name: _alone(value) for name, value in each.items()} for each in examples], plan)


def _alone(value: Any) -> Any:
    """A feature is a list; one value may stand for itself."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


# --- answers, as a server writes them ---


def encode_predict(answer: Answer, signature: Signature, *, by_row: bool) -> bytes:
    """The answer in the form of the request; raises `Broken` for one that does not keep to *signature*."""
    specs = signature.outputs
    arrays = [checked_output(spec, answer.outputs) for spec in specs]
    if not by_row:
        values = [tensor_text(array, packed=_packed(spec)) for spec, array in zip(specs, arrays, strict=True)]
        return b'{"outputs":' + (values[0] if len(specs) == 1 else _object(specs, values)) + b"}"
    return b'{"predictions":' + predictions_text(signature, answer.outputs) + b"}"


def predictions_text(signature: Signature, outputs: Tensors) -> bytes:
    """The outputs row by row: bare values for one output, objects for several; raises `Broken`."""
    specs = signature.outputs
    arrays = [checked_output(spec, outputs) for spec in specs]
    if not all(array.ndim for array in arrays) or len({len(array) for array in arrays}) != 1:
        raise Unsupported("the outputs of this model have no rows; send its tensors as 'inputs'")
    if len(specs) == 1:
        return tensor_text(arrays[0], packed=_packed(specs[0]))
    texts = [rows_text(array, packed=_packed(spec)) for spec, array in zip(specs, arrays, strict=True)]
    return b"[" + b",".join(_object(specs, row) for row in zip(*texts, strict=True)) + b"]"


def _packed(spec: TensorSpec) -> bool:
    return spec.name.endswith("_bytes")


def _object(specs: Iterable[TensorSpec], values: Iterable[bytes]) -> bytes:
    pairs = (orjson.dumps(spec.name) + b":" + value for spec, value in zip(specs, values, strict=True))
    return b"{" + b",".join(pairs) + b"}"


class Classified(NamedTuple):
    """The classes of each row and their scores, of shape (rows, classes)."""

    labels: tuple[str, ...]
    scores: Array


def classified(signature: Signature, outputs: Tensors) -> Classified:
    """What a classifier said; raises `Unsupported` for another model."""
    for spec in signature.outputs:
        if spec.datatype.floating and len(spec.shape) == 2:
            scores = checked_output(spec, outputs)
            return Classified(spec.columns or ("",) * scores.shape[1], scores)
    raise Unsupported("no output of this model is a row of scores; ask it to predict")


def regressed(signature: Signature, outputs: Tensors) -> Array:
    """The number of each row; raises `Unsupported` for a model that says no single number."""
    for spec in signature.outputs:
        if spec.datatype != "BYTES" and spec.shape[1:] in ((), (1,)):
            return checked_output(spec, outputs).reshape(-1)
    raise Unsupported("no output of this model is one number a row; ask it to predict")


def encode_classify(answer: Answer, signature: Signature) -> bytes:
    """[[label, score], …] for each example."""
    labels, scores = classified(signature, answer.outputs)
    starts = [b"[" + orjson.dumps(label) + b"," for label in labels]
    rows = (
        b"[" + b",".join(start + score + b"]" for start, score in zip(starts, row, strict=True)) + b"]"
        for row in (_scores(each, len(labels)) for each in scores)
    )
    return b'{"results":[' + b",".join(rows) + b"]}"


def _scores(row: Array, width: int) -> list[bytes]:
    texts = rows_text(row)
    if len(texts) != width:
        raise Broken(f"the model says {len(texts)} scores, and its signature names {width} classes")
    return texts


def encode_regress(answer: Answer, signature: Signature) -> bytes:
    """A number for each example."""
    return b'{"results":' + tensor_text(regressed(signature, answer.outputs)) + b"}"


# --- pages ---


def status_page(versions: Mapping[int, tuple[str, str]]) -> dict[str, Any]:
    """The state of each version (`AVAILABLE`, `LOADING` …) and what is wrong with it."""
    return {
        "model_version_status": [
            {
                "version": str(version),
                "state": state,
                "status": {"error_code": "UNKNOWN" if error else "OK", "error_message": error},
            }
            for version, (state, error) in versions.items()
        ]
    }


def metadata_page(model: str, version: int, signature: Signature) -> dict[str, Any]:
    """What a version takes and gives; sizes are strings, as protobuf's JSON has them."""
    described = {
        "inputs": {spec.name: _described(spec) for spec in signature.inputs},
        "outputs": {spec.name: _described(spec) for spec in signature.outputs},
        "method_name": "tensorflow/serving/predict",
        "defaults": {},
    }
    return {
        "model_spec": {"name": model, "signature_name": "", "version": str(version)},
        "metadata": {"signature_def": {"signature_def": {SIGNATURE: described}}},
    }


def dtype_of(spec: TensorSpec) -> str:
    """What TensorFlow calls the datatype of *spec*."""
    return _DTYPES.get(spec.datatype, f"DT_{spec.datatype}")


def _described(spec: TensorSpec) -> dict[str, Any]:
    dims = [{"size": str(size), "name": ""} for size in spec.shape]
    return {
        "dtype": dtype_of(spec),
        "tensor_shape": {"dim": dims, "unknown_rank": False},
        "name": f"{spec.name}:0",
    }


# --- the client's end ---


def encode_request(inputs: Tensors, *, by_row: bool) -> bytes:
    """A predict request; by row, *inputs* share their first dimension."""
    if not by_row:
        pairs = [orjson.dumps(name) + b":" + tensor_text(array) for name, array in inputs.items()]
        return b'{"inputs":{' + b",".join(pairs) + b"}}"
    names = [orjson.dumps(name) + b":" for name in inputs]
    rows = zip(*(rows_text(array) for array in inputs.values()), strict=True)
    objects = (
        b"{" + b",".join(name + value for name, value in zip(names, row, strict=True)) + b"}" for row in rows
    )
    return b'{"instances":[' + b",".join(objects) + b"]}"


def decode_answer(body: bytes, signature: Signature) -> Tensors:
    """The outputs in an answer of either form, as *signature* has them; raises `Malformed`."""
    outputs = Signature(signature.outputs, ())
    return read_document(body, lambda document: _answer_from(document, outputs))


def _answer_from(document: Any, outputs: Signature) -> Tensors:
    keys = list(document) if isinstance(document, OBJECTS) else []
    if "outputs" in keys:
        return from_inputs(document["outputs"], outputs)
    if "predictions" not in keys or not isinstance(document["predictions"], LISTS):
        raise Malformed("an answer has 'predictions' or 'outputs'; is this a model server?")
    if not len(document["predictions"]):
        return {spec.name: np.empty((0, *spec.shape[1:]), spec.datatype.dtype) for spec in outputs.inputs}
    return from_instances(document["predictions"], outputs)
