"""TensorFlow Serving's REST: whatever arrives is a call or a sentence, and what goes out comes back."""

from __future__ import annotations

import contextlib
import json
from functools import partial
from typing import Any

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forebay.core import Array, DataType, Signature, TensorSpec
from forebay.core.errors import ForebayError, Malformed
from forebay.serving.wire import Answer, tfs
from forebay.serving.wire.instances import tensor_text
from support.asked_models import JUDGE, MIXER
from support.rubbish import read_or_refused
from support.tiny_models import TWICE

TEXT = Signature((TensorSpec("x", DataType.BYTES, (-1, 1)),), (TensorSpec("y", DataType.BYTES, (-1, 1)),))
FIXED = Signature((TensorSpec("x", DataType.FP64, (2,)),), (TensorSpec("y", DataType.FP64, ()),))
KEYS = ["instances", "inputs", "examples", "context", "signature_name", "x", "a", "b", "c", "b64"]
scalars = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=4)
documents = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=25,
)


def asked(document: Any, signature: Signature) -> tuple[dict[str, Any], bool]:
    call, by_row = tfs.decode_predict(json.dumps(document).encode(), signature, "m", None)
    return {name: array.tolist() for name, array in call.inputs.items()}, by_row


def test_rows_and_columns_are_the_same_tensors() -> None:
    row = {"a": [1, 2], "b": 3}
    assert asked({"instances": [row, row]}, MIXER) == ({"a": [[1, 2], [1, 2]], "b": [3, 3]}, True)
    assert asked({"inputs": {"a": [[1, 2]], "b": [3]}}, MIXER) == ({"a": [[1, 2]], "b": [3]}, False)


@pytest.mark.parametrize(
    "document",
    [
        {"instances": [[1, 2, 3]]},
        {"instances": [{"x": [1, 2, 3]}]},
        {"instances": [{"a": 1, "b": 2, "c": 3}]},
        {"inputs": [[1, 2, 3]]},
        {"inputs": {"x": [[1, 2, 3]]}},
        {"inputs": {"a": [1], "b": [2], "c": [3]}, "signature_name": "serving_default"},
    ],
)
def test_one_input_is_written_in_many_ways(document: Any) -> None:
    assert asked(document, TWICE)[0] == {"x": [[1, 2, 3]]}


def test_bytes_come_as_base64_anywhere() -> None:
    packed = {"b64": "//8="}
    for document in (
        {"instances": [packed, "one"]},
        {"instances": [[packed], ["one"]]},
        {"instances": [{"x": packed}, {"x": "one"}]},
        {"inputs": [[packed], ["one"]]},
        {"inputs": {"x": [packed, "one"]}},
    ):
        assert asked(document, TEXT)[0] == {"x": [[b"\xff\xff"], ["one"]]}
    with pytest.raises(Malformed, match="no valid base64"):
        asked({"instances": [{"b64": "?"}]}, TEXT)


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        ({}, "Missing 'inputs' or 'instances' key"),
        ({"instances": [[1]], "inputs": [[1]]}, "both came"),
        ({"instances": []}, "a list with a row"),
        ({"instances": 3}, "a list with a row"),
        ({"instances": [[1, 2, 3]], "signature_name": "other"}, 'signature name: "other" not found'),
        ({"inputs": {"z": [[1, 2, 3]]}}, "no input 'z'"),
        ([], "a JSON object"),
    ],
)
def test_what_is_wrong_is_said(document: Any, sentence: str) -> None:
    with pytest.raises(Malformed, match=sentence):
        asked(document, TWICE)


def test_instances_have_the_same_names() -> None:
    with pytest.raises(Malformed, match="instance 1 has other names"):
        asked({"instances": [{"a": [1, 2], "b": 3}, {"a": [1, 2]}]}, MIXER)


def test_examples_take_their_context() -> None:
    body = json.dumps({"context": {"c": 3}, "examples": [{"a": 1, "b": [2]}, {"a": [4], "b": 5}]}).encode()
    assert tfs.decode_examples(body, TWICE, "m", None).inputs["x"].tolist() == [[1, 2, 3], [4, 5, 3]]
    for wrong, sentence in (({"c": 1}, "stands in the context"), (3, "example 0 is no object")):
        body = json.dumps({"context": {"c": 3}, "examples": [wrong]}).encode()
        with pytest.raises(Malformed, match=sentence):
            tfs.decode_examples(body, TWICE, "m", None)


def test_answers_have_the_form_of_the_request() -> None:
    outputs = {
        "label": np.array([b"owl"], object),
        "probabilities": np.array([[0.25, 0.25, 0.5]], np.float32),
    }
    answer = Answer("m", "1", outputs)
    row = {"label": "owl", "probabilities": [0.25, 0.25, 0.5]}
    assert json.loads(tfs.encode_predict(answer, JUDGE, by_row=True)) == {"predictions": [row]}
    column = {"label": ["owl"], "probabilities": [[0.25, 0.25, 0.5]]}
    assert json.loads(tfs.encode_predict(answer, JUDGE, by_row=False)) == {"outputs": column}
    scores = [["cat", 0.25], ["dog", 0.25], ["owl", 0.5]]
    assert json.loads(tfs.encode_classify(answer, JUDGE)) == {"results": [scores]}
    lone = Answer("m", "1", {"sum": np.array([1.5, np.nan], np.float32)})
    assert tfs.encode_predict(lone, MIXER, by_row=True) == b'{"predictions":[1.5,NaN]}'
    assert tfs.encode_regress(lone, MIXER) == b'{"results":[1.5,NaN]}'


READERS = (
    lambda body, signature: tfs.decode_predict(body, signature, "m", None).call.inputs,
    lambda body, signature: tfs.decode_examples(body, signature, "m", None).inputs,
)


@settings(max_examples=300)
@given(documents, st.sampled_from([TWICE, MIXER, JUDGE, TEXT, FIXED]))
def test_any_json_is_a_call_or_a_sentence(document: Any, signature: Signature) -> None:
    for key in ("instances", "inputs", "examples"):
        body = json.dumps({key: document}).encode()
        for read in READERS:
            read_or_refused(partial(read, body, signature), signature)
        with contextlib.suppress(ForebayError):  # another server's answer may be its fault
            tfs.decode_answer(body, signature)


@given(st.binary(max_size=60))
def test_any_bytes_are_a_call_or_a_sentence(body: bytes) -> None:
    for read in READERS:
        read_or_refused(partial(read, body, MIXER), MIXER)


@pytest.mark.parametrize("datatype", [each for each in DataType if each is not DataType.BF16])
@settings(max_examples=60)
@given(draw=st.data(), by_row=st.booleans())
def test_every_tensor_survives_the_way(datatype: DataType, draw: st.DataObject, by_row: bool) -> None:
    shape = draw.draw(hnp.array_shapes(min_dims=1, max_dims=4, max_side=3))
    elements = st.text(max_size=4) | st.binary(max_size=4) if datatype is DataType.BYTES else None
    array = draw.draw(hnp.arrays(datatype.dtype, shape, elements=elements))
    spec = TensorSpec("x", datatype, (-1, *shape[1:]))
    signature = Signature((spec,), (spec,))
    body = tfs.encode_request({"x": array}, by_row=by_row)
    assert_same(tfs.decode_predict(body, signature, "m", None).call.inputs["x"], array)
    answer = tfs.encode_predict(Answer("m", "1", {"x": array}), signature, by_row=by_row)
    assert_same(tfs.decode_answer(answer, signature)["x"], array)


def assert_same(left: Array, right: Array) -> None:
    assert (left.dtype, left.shape) == (right.dtype, right.shape)
    if left.dtype == object:
        assert list(map(as_bytes, left.flat)) == list(map(as_bytes, right.flat))
    else:
        assert np.array_equal(left, right, equal_nan=left.dtype.kind == "f")


def as_bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value


@given(hnp.arrays(np.float32, hnp.array_shapes(min_dims=0, min_side=0, max_side=3)))
def test_any_array_is_json(array: Array) -> None:
    again = np.array(json.loads(tensor_text(array)), np.float32)
    assert np.array_equal(again.reshape(array.shape), array, equal_nan=True)
