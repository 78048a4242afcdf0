"""MLflow's scoring protocol: whatever arrives is a call or a sentence, and tables survive the way."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forebay.core import DataType, Signature, Tensors, TensorSpec
from forebay.core.errors import Malformed, UnknownMedia
from forebay.serving.wire import Answer, invocations
from support.asked_models import JUDGE, MIXER
from support.rubbish import read_or_refused
from support.tiny_models import TWICE

TABLE = Signature(
    (
        TensorSpec("size", DataType.FP64, (-1, 1)),
        TensorSpec("rooms", DataType.INT64, (-1,)),
        TensorSpec("town", DataType.BYTES, (-1, 1)),
        TensorSpec("new", DataType.BOOL, (-1,)),
    ),
    (TensorSpec("price", DataType.FP32, (-1,)),),
)
NAMES = ["size", "rooms", "town", "new"]
FORMS = ["dataframe_split", "dataframe_records", "instances", "inputs", "input_data", "columns", "data"]


def call(body: bytes, signature: Signature, kind: bytes | None = None) -> dict[str, Any]:
    inputs = invocations.decode_request(body, kind, signature, "m", None).inputs
    signature.check(inputs)
    return {name: array.tolist() for name, array in inputs.items()}


def said(document: Any, signature: Signature = TWICE) -> dict[str, Any]:
    return call(json.dumps(document).encode(), signature)


@pytest.mark.parametrize(
    "document",
    [
        {"dataframe_split": {"columns": ["c", "more", "a", "b"], "index": [0], "data": [[3, "x", 1, 2]]}},
        {"dataframe_split": {"columns": [0, 1, 2], "data": [[1, 2, 3]]}},
        {"dataframe_split": {"data": [[1, 2, 3]]}},
        {"dataframe_records": [{"c": 3, "a": 1, "b": 2, "more": None}]},
        {"dataframe_records": [{"x": [1, 2, 3], "more": None}]},
        {"instances": [[1, 2, 3]], "params": {}},
        {"inputs": {"x": [[1, 2, 3]]}, "params": None},
        {"inputs": [[1, 2, 3]]},
        {"input_data": {"columns": ["a", "b", "c"], "data": [[1, 2, 3]]}},
        {"input_data": [[1, 2, 3]]},
    ],
)
def test_a_row_is_written_in_many_ways(document: Any) -> None:
    assert said(document) == {"x": [[1, 2, 3]]}


@pytest.mark.parametrize("kind", [b"text/csv", b"text/csv; charset=utf-8"])
@pytest.mark.parametrize("text", ["a,b,c\n1,2,3\n", "c,a,b\r\n3,1,2", "1,2,3", "1.0,2,3e0\n\n"])
def test_csv_has_names_or_not(kind: bytes, text: str) -> None:
    assert call(text.encode(), TWICE, kind) == {"x": [[1, 2, 3]]}


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        ([[1, 2, 3]], "exactly one of"),
        ({}, "exactly one of"),
        ({"instances": [[1, 2, 3]], "inputs": [[1, 2, 3]]}, "exactly one of"),
        ({"instances": [[1, 2, 3]], "params": {"t": 1}}, "takes no 'params'"),
        ({"dataframe_split": [[1, 2, 3]]}, "a split data frame is"),
        ({"dataframe_split": {"columns": ["a"], "data": [[1, 2]]}}, "row 0 has not one value"),
        ({"dataframe_split": {"columns": ["a", "b"], "data": [[1, 2]]}}, "no column 'c'"),
        ({"dataframe_records": [3]}, "records are a list of objects"),
    ],
)
def test_what_is_wrong_is_said(document: Any, sentence: str) -> None:
    with pytest.raises(Malformed, match=sentence):
        said(document)


@pytest.mark.parametrize("kind", [b"text/plain", b"application/json; format=pandas-split", b"\xff", b""])
def test_other_kinds_of_bodies_are_refused(kind: bytes) -> None:
    with pytest.raises(UnknownMedia, match="is not read here"):
        call(b"{}", TWICE, kind)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "no row"),
        ("a,b,c\n", "no row"),
        ("1,2", "row 0 has 2 values"),
        ("a,b,c\n1,two,3", "takes a number, and row 0 has 'two'"),
        ('"1,2,3', "is no CSV"),
        ("\udcff", "is no CSV"),
    ],
)
def test_a_broken_csv_is_explained(text: str, sentence: str) -> None:
    with pytest.raises(Malformed, match=sentence):
        call(text.encode(errors="surrogateescape"), TWICE, b"text/csv")


def test_predictions_are_rows() -> None:
    answer = Answer("m", "1", {"label": np.array(["owl"], object), "probabilities": np.eye(3)[2:]})
    rows = invocations.decode_answer(invocations.encode_answer(answer, JUDGE))
    assert rows == [{"label": "owl", "probabilities": [0.0, 0.0, 1.0]}]


documents = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from([*FORMS, *NAMES, "a", "b", "c"]), inner, max_size=4)
    ),
    max_leaves=25,
)


@settings(max_examples=300)
@given(documents, st.sampled_from([TWICE, MIXER, TABLE]), st.sampled_from(FORMS))
def test_any_json_is_a_call_or_a_sentence(document: Any, signature: Signature, form: str) -> None:
    body = json.dumps({form: document}).encode()
    read_or_refused(partial(_inputs, body, None, signature), signature)


@given(st.binary(max_size=60) | st.text('ab,c"\n\r1.-', max_size=60).map(str.encode))
def test_any_bytes_are_a_call_or_a_sentence(body: bytes) -> None:
    for kind in (None, b"text/csv"):
        for each in (TWICE, TABLE, MIXER):
            read_or_refused(partial(_inputs, body, kind, each), each)


def _inputs(body: bytes, kind: bytes | None, signature: Signature) -> Tensors:
    return invocations.decode_request(body, kind, signature, "m", None).inputs


rows = st.tuples(
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-(2**63), 2**63 - 1),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=5),
    st.booleans(),
)


@settings(max_examples=200)
@given(st.lists(rows, min_size=1, max_size=4))
def test_every_table_survives_the_way(table: list[tuple[Any, ...]]) -> None:
    size, rooms, town, new = (list(column) for column in zip(*table, strict=True))
    expected = {
        "size": [[each] for each in size],
        "rooms": rooms,
        "town": [[each] for each in town],
        "new": new,
    }
    assert call(invocations.encode_split(NAMES, table), TABLE) == expected
    assert call(invocations.encode_csv(NAMES, table), TABLE, b"text/csv") == expected
