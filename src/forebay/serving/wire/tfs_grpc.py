"""TensorFlow Serving over gRPC: PredictionService and ModelService. Both ends of Predict.

Tensors come as `tensor_content` or as typed values, of which the last is repeated to fill the shape.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from google.protobuf.message import DecodeError

from forebay.core import Signature, Tensors
from forebay.core.errors import Malformed, Unsupported
from forebay.serving.wire.call import Answer, Call
from forebay.serving.wire.proto_files import Protocol
from forebay.serving.wire.tfs import (
    SIGNATURE,
    call_of,
    check_signature,
    classified,
    inputs_of_examples,
    regressed,
)
from forebay.serving.wire.tfs_tensors import NUMBERS, array_in, tensor_of

PROTOCOL = Protocol("google_any.proto", "tensorflow.proto", "tensorflow_serving.proto")
_PACKAGE = "tensorflow.serving"
_METADATA = "signature_def"
_CLASSIFY, _REGRESS = "tensorflow/serving/classify", "tensorflow/serving/regress"
_UNKNOWN = 2


class Spec(NamedTuple):
    """Which model is meant; `version` is a number or a label, None for what the deployment says."""

    model: str
    version: str | None


class Examples(NamedTuple):
    """A request whose rows are examples: for whom, how each part of the answer is made, and the examples."""

    spec: Spec
    methods: tuple[str, ...]
    rows: list[dict[str, Any]]

    def call(self, signature: Signature) -> Call:
        """The call, its inputs as *signature* wants them; raises `Malformed`."""
        if not self.rows:
            raise Malformed("Input is empty: there is no example in the request")
        return call_of(inputs_of_examples(self.rows, signature), signature, *self.spec)


# --- requests, as a server reads them ---


def decode_predict(message: bytes) -> Call:
    """A `PredictRequest`; raises `Malformed`."""
    request = _read("PredictRequest", message)
    spec = _spec_in(request.model_spec)
    inputs, bf16 = _tensors_in("input", request.inputs)
    return Call(spec.model, inputs, spec.version, outputs=tuple(request.output_filter), bf16=bf16)


def _tensors_in(what: str, tensors: Mapping[str, Any]) -> tuple[Tensors, tuple[str, ...]]:
    """The arrays in a map of `TensorProto`s, and which of them are BF16; raises `Malformed`."""
    arrays: Tensors = {}
    bf16: list[str] = []
    for name, tensor in tensors.items():
        try:
            arrays[name], is_bf16 = array_in(tensor)
        except ValueError as why:
            raise Malformed(f"{what} {name!r} {why}") from None
        if is_bf16:
            bf16.append(name)
    return arrays, tuple(bf16)


def decode_classify(message: bytes) -> Examples:
    """A `ClassificationRequest`; raises `Malformed`."""
    request = _read("ClassificationRequest", message)
    return Examples(_spec_in(request.model_spec), (_CLASSIFY,), _examples_in(request.input))


def decode_regress(message: bytes) -> Examples:
    """A `RegressionRequest`; raises `Malformed`."""
    request = _read("RegressionRequest", message)
    return Examples(_spec_in(request.model_spec), (_REGRESS,), _examples_in(request.input))


def decode_multi(message: bytes) -> Examples:
    """A `MultiInferenceRequest`, whose tasks are all for one model; raises `Malformed`."""
    request = _read("MultiInferenceRequest", message)
    specs = {_spec_in(task.model_spec) for task in request.tasks}
    methods = tuple(task.method_name for task in request.tasks)
    if len(specs) != 1:
        raise Malformed(f"the tasks of one request are for one model, and these are for {len(specs)}")
    for method in methods:
        if method not in (_CLASSIFY, _REGRESS):
            raise Unsupported(f"there is no method {method[:64]!r}; use {_CLASSIFY} or {_REGRESS}")
    return Examples(specs.pop(), methods, _examples_in(request.input))


def read_asked(kind: str, message: bytes) -> Spec:
    """Whom a `GetModelStatusRequest` or a `GetModelMetadataRequest` is about; raises `Malformed`."""
    request = _read(f"{kind}Request", message)
    for field in getattr(request, "metadata_field", ()):
        if field != _METADATA:
            raise Malformed(f"Metadata field {field[:64]!r} is not supported; there is {_METADATA!r}")
    return _spec_in(request.model_spec)


def _read(kind: str, message: bytes) -> Any:
    try:
        return PROTOCOL.message(f"{_PACKAGE}.{kind}").FromString(message)
    except DecodeError:
        raise Malformed(f"the message is no {_PACKAGE}.{kind}, or it is cut short") from None


def _spec_in(spec: Any) -> Spec:
    check_signature(spec.signature_name)
    if not spec.name:
        raise Malformed("Missing ModelSpec: the request names no model")
    choice = spec.WhichOneof("version_choice")
    if choice == "version_label":
        return Spec(spec.name, spec.version_label)
    number = spec.version.value if choice == "version" else 0
    return Spec(spec.name, str(number) if number else None)


def _examples_in(message: Any) -> list[dict[str, Any]]:
    kind = message.WhichOneof("kind")
    if kind is None:
        return []
    listed = getattr(message, kind)
    context = _features_in(listed.context) if kind == "example_list_with_context" else {}
    rows = [_features_in(example) for example in listed.examples]
    for number, row in enumerate(rows):
        if twice := row.keys() & context.keys():
            raise Malformed(f"the feature {min(twice)!r} stands in the context and in example {number}")
    return [context | row for row in rows]


def _features_in(example: Any) -> dict[str, Any]:
    found = {}
    for name, feature in example.features.feature.items():
        kind = feature.WhichOneof("kind")
        if kind is not None:
            found[name] = list(getattr(feature, kind).value)
    return found


# --- answers, as a server writes them ---


def encode_predict(answer: Answer, call: Call) -> bytes:
    """A `PredictResponse` with the outputs that *call* wants; raises `Malformed` where there is none."""
    response = _new("PredictResponse")
    for name in call.outputs or tuple(answer.outputs):
        array = answer.outputs.get(name)
        if array is None:
            raise Malformed(f"the model has no output {name!r}; it has {list(answer.outputs)}")
        tensor_of(array, response.outputs[name], bf16=name in answer.bf16)
    _fill_spec(response.model_spec, answer)
    return bytes(response.SerializeToString())


def encode_classify(answer: Answer, signature: Signature) -> bytes:
    """A `ClassificationResponse`; raises `Unsupported` for a model that has no classes."""
    response = _new("ClassificationResponse")
    _fill_classes(response.result, signature, answer.outputs)
    _fill_spec(response.model_spec, answer)
    return bytes(response.SerializeToString())


def encode_regress(answer: Answer, signature: Signature) -> bytes:
    """A `RegressionResponse`; raises `Unsupported` for a model that says no single number."""
    response = _new("RegressionResponse")
    _fill_numbers(response.result, signature, answer.outputs)
    _fill_spec(response.model_spec, answer)
    return bytes(response.SerializeToString())


def encode_multi(answer: Answer, signature: Signature, methods: Iterable[str]) -> bytes:
    """A `MultiInferenceResponse`, a result for each of *methods*."""
    response = _new("MultiInferenceResponse")
    for method in methods:
        result = response.results.add()
        _fill_spec(result.model_spec, answer)
        if method == _CLASSIFY:
            _fill_classes(result.classification_result, signature, answer.outputs)
        else:
            _fill_numbers(result.regression_result, signature, answer.outputs)
    return bytes(response.SerializeToString())


def _new(kind: str) -> Any:
    return PROTOCOL.message(f"{_PACKAGE}.{kind}")()


def _fill_spec(spec: Any, answer: Answer) -> None:
    spec.name, spec.signature_name = answer.model, SIGNATURE
    spec.version.value = int(answer.version or 0)


def _fill_classes(result: Any, signature: Signature, outputs: Tensors) -> None:
    labels, scores = classified(signature, outputs)
    for row in scores.tolist():
        classes = result.classifications.add().classes
        for label, score in zip(labels, row, strict=True):
            classes.add(label=label, score=score)


def _fill_numbers(result: Any, signature: Signature, outputs: Tensors) -> None:
    result.regressions.extend(
        PROTOCOL.message(f"{_PACKAGE}.Regression")(value=value)
        for value in regressed(signature, outputs).tolist()
    )


def encode_status(versions: Mapping[int, tuple[str, str]]) -> bytes:
    """A `GetModelStatusResponse`: the state of each version, and what is wrong with it."""
    response = _new("GetModelStatusResponse")
    for version, (state, error) in versions.items():
        found = response.model_version_status.add(version=version, state=state)
        found.status.error_code, found.status.error_message = _UNKNOWN if error else 0, error
    return bytes(response.SerializeToString())


def encode_metadata(model: str, version: int, signature: Signature) -> bytes:
    """A `GetModelMetadataResponse`: what a version takes and gives."""
    response, described = _new("GetModelMetadataResponse"), _new("SignatureDefMap")
    response.model_spec.name, response.model_spec.version.value = model, version
    defined = described.signature_def[SIGNATURE]
    defined.method_name = "tensorflow/serving/predict"
    for specs, infos in ((signature.inputs, defined.inputs), (signature.outputs, defined.outputs)):
        for spec in specs:
            info = infos[spec.name]
            info.name, info.dtype = f"{spec.name}:0", NUMBERS[spec.datatype]
            for size in spec.shape:
                info.tensor_shape.dim.add(size=size)
    packed = response.metadata[_METADATA]
    packed.type_url = f"type.googleapis.com/{_PACKAGE}.SignatureDefMap"
    packed.value = described.SerializeToString()
    return bytes(response.SerializeToString())


# --- the client's end ---


def encode_request(call: Call) -> bytes:
    """A `PredictRequest`."""
    request = _new("PredictRequest")
    request.model_spec.name = call.model
    if call.version is not None:
        request.model_spec.version.value = int(call.version)
    for name, array in call.inputs.items():
        tensor_of(array, request.inputs[name], bf16=name in call.bf16)
    request.output_filter.extend(call.outputs)
    return bytes(request.SerializeToString())


def decode_answer(message: bytes) -> Answer:
    """The answer in a `PredictResponse`; raises `Malformed`."""
    response = _read("PredictResponse", message)
    outputs, bf16 = _tensors_in("output", response.outputs)
    return Answer(response.model_spec.name, str(response.model_spec.version.value), outputs, bf16=bf16)
