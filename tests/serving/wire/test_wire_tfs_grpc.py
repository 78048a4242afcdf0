"""TensorFlow Serving over gRPC: whatever arrives is a call or a sentence, and what goes out comes back."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import partial
from typing import Any

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forebay.core import DataType, Signature, Tensors
from forebay.core.errors import ForebayError, Malformed
from forebay.serving.wire import Answer, Call, tfs_grpc
from support.asked_models import JUDGE, MIXER
from support.rubbish import read_or_refused
from support.tiny_models import TWICE


def message(kind: str, **fields: Any) -> Any:
    return tfs_grpc.PROTOCOL.message(f"tensorflow.serving.{kind}")(**fields)


def predict(**tensor: Any) -> Any:
    shape = {"dim": [{"size": size} for size in tensor.pop("shape", ())]}
    fields = {"x": {"tensor_shape": shape, **tensor}}
    request = message("PredictRequest", model_spec={"name": "m"}, inputs=fields)
    return tfs_grpc.decode_predict(request.SerializeToString())


@pytest.mark.parametrize(
    ("tensor", "values"),
    [
        ({"dtype": "DT_FLOAT", "shape": [2], "float_val": [1.5, 2]}, [1.5, 2.0]),
        ({"dtype": "DT_FLOAT", "shape": [3], "float_val": [1.5]}, [1.5] * 3),
        ({"dtype": "DT_INT8", "shape": [3], "int_val": [1, 2]}, [1, 2, 2]),
        ({"dtype": "DT_HALF", "shape": [1], "half_val": [0x3C00]}, [1.0]),
        ({"dtype": "DT_BFLOAT16", "shape": [1], "half_val": [0x3F80]}, [0x3F80]),
        ({"dtype": "DT_STRING", "shape": [1], "string_val": [b"\xff"]}, [b"\xff"]),
        ({"dtype": "DT_BOOL", "shape": [1], "bool_val": [True]}, [True]),
        ({"dtype": "DT_INT32", "shape": [1], "tensor_content": b"\1\0\0\0"}, [1]),
        ({"dtype": "DT_INT32", "shape": [0]}, []),
        ({"dtype": "DT_DOUBLE", "double_val": [2.5]}, 2.5),
    ],
)
def test_values_stand_in_many_places(tensor: dict[str, Any], values: Any) -> None:
    assert predict(**tensor).inputs["x"].tolist() == values


@pytest.mark.parametrize(
    ("tensor", "sentence"),
    [
        ({"dtype": 8, "shape": [1]}, "DataType 8"),
        ({"dtype": "DT_FLOAT", "shape": [2]}, "takes 2 values, and 0 came"),
        ({"dtype": "DT_FLOAT", "shape": [1], "float_val": [1, 2]}, "takes 1 values, and 2 came"),
        ({"dtype": "DT_FLOAT", "shape": [-1], "float_val": [1]}, "a dimension is 0 or more"),
        ({"dtype": "DT_FLOAT", "shape": [2**62, 2**62], "float_val": [1]}, "exceed maximum size"),
        ({"dtype": "DT_FLOAT", "shape": [2], "tensor_content": b"123"}, "unexpected size"),
        ({"dtype": "DT_INT8", "shape": [1], "int_val": [300]}, "beyond the range of INT8"),
    ],
)
def test_what_is_wrong_with_a_tensor_is_said(tensor: dict[str, Any], sentence: str) -> None:
    with pytest.raises(Malformed, match=sentence):
        predict(**tensor)


def test_one_value_does_not_fill_a_gigantic_shape() -> None:
    with pytest.raises(Malformed, match="values, and 1 came"):
        predict(dtype="DT_FLOAT", shape=[2**40], float_val=[1])


def features(**values: list[float]) -> dict[str, Any]:
    return {"features": {"feature": {name: {"float_list": {"value": each}} for name, each in values.items()}}}


def test_examples_take_their_context() -> None:
    listed = {"examples": [features(a=[1], b=[2])], "context": features(c=[3])}
    request = message(
        "RegressionRequest",
        model_spec={"name": "m", "version_label": "best"},
        input={"example_list_with_context": listed},
    )
    asked = tfs_grpc.decode_regress(request.SerializeToString())
    assert asked.spec == ("m", "best")
    assert asked.call(TWICE).inputs["x"].tolist() == [[1, 2, 3]]


def test_every_kind_of_result_is_written() -> None:
    outputs = {"label": np.array([b"owl"], object), "probabilities": np.eye(3, dtype=np.float32)[2:]}
    answer = Answer("m", "3", outputs)
    read = message("ClassificationResponse").FromString(tfs_grpc.encode_classify(answer, JUDGE))
    assert [(each.label, each.score) for each in read.result.classifications[0].classes] == [
        *[("cat", 0.0), ("dog", 0.0), ("owl", 1.0)]
    ]
    lone = Answer("m", "3", {"sum": np.array([1.5], np.float32)})
    number = message("RegressionResponse").FromString(tfs_grpc.encode_regress(lone, MIXER))
    assert (number.result.regressions[0].value, number.model_spec.version.value) == (1.5, 3)
    multi = tfs_grpc.encode_multi(lone, MIXER, ["tensorflow/serving/regress"])
    found = message("MultiInferenceResponse").FromString(multi)
    assert found.results[0].regression_result.regressions[0].value == 1.5


def test_metadata_is_a_packed_signature() -> None:
    read = message("GetModelMetadataResponse").FromString(tfs_grpc.encode_metadata("m", 2, MIXER))
    packed = read.metadata["signature_def"]
    assert packed.type_url == "type.googleapis.com/tensorflow.serving.SignatureDefMap"
    described = message("SignatureDefMap").FromString(packed.value).signature_def["serving_default"]
    assert (described.inputs["b"].dtype, described.inputs["a"].tensor_shape.dim[1].size) == (9, 2)


def _examples(decode: Callable[[bytes], tfs_grpc.Examples]) -> Callable[[bytes], Tensors]:
    return lambda body: decode(body).call(MIXER).inputs


READERS: tuple[tuple[Callable[[bytes], Tensors], Signature | None], ...] = (
    (lambda body: tfs_grpc.decode_predict(body).inputs, None),
    (_examples(tfs_grpc.decode_classify), MIXER),
    (_examples(tfs_grpc.decode_regress), MIXER),
    (_examples(tfs_grpc.decode_multi), MIXER),
)


@given(st.binary(max_size=80), st.integers(0, 60), st.binary(max_size=3))
def test_any_bytes_are_a_call_or_a_sentence(body: bytes, at: int, cut: bytes) -> None:
    whole = tfs_grpc.encode_request(Call("m", {"x": np.ones((2, 3), np.float32)}, "1"))
    for each in (body, whole[:at] + cut + whole[at + len(cut) :], whole[:at]):
        for read, signature in READERS:
            read_or_refused(partial(read, each), signature)
        with contextlib.suppress(Malformed):
            model, version = tfs_grpc.read_asked("GetModelMetadata", each)
            assert isinstance(model, str)
            assert version is None or isinstance(version, str)
        with contextlib.suppress(ForebayError):  # another server's answer may be its fault
            assert all(isinstance(one, np.ndarray) for one in tfs_grpc.decode_answer(each).outputs.values())


@pytest.mark.parametrize("datatype", list(DataType))
@settings(max_examples=40)
@given(draw=st.data())
def test_every_tensor_survives_the_way(datatype: DataType, draw: st.DataObject) -> None:
    shape = draw.draw(hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=3))
    elements = st.binary(max_size=4) if datatype is DataType.BYTES else None
    array = draw.draw(hnp.arrays(datatype.dtype, shape, elements=elements))
    bf16 = ("x",) if datatype is DataType.BF16 else ()
    call = tfs_grpc.decode_predict(tfs_grpc.encode_request(Call("m", {"x": array}, "7", bf16=bf16)))
    answer = tfs_grpc.decode_answer(tfs_grpc.encode_predict(Answer("m", "7", {"x": array}, bf16=bf16), call))
    assert (call.version, answer.version, call.bf16, answer.bf16) == ("7", "7", bf16, bf16)
    for found in (call.inputs["x"], answer.outputs["x"]):
        assert (found.dtype, found.shape) == (array.dtype, array.shape)
        assert np.array_equal(found, array, equal_nan=array.dtype.kind == "f")
