"""Requests that repeat themselves are read the short way, and say the same as read the long way."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forebay.core import DataType
from forebay.core.errors import Malformed
from forebay.serving.wire import Call, oip
from forebay.serving.wire.document import read_document
from forebay.serving.wire.oip import _call_from
from forebay.serving.wire.oip_moulds import Moulds

PADDING = b" " * 600


def long_way(body: bytes) -> Call:
    return read_document(body, lambda document: _call_from(document, None, "m", None))


def moulds() -> Moulds:
    return Moulds(lambda document: _call_from(document, None, "", None))


def body_of(data: Any, shape: list[int], datatype: str = "FP32", **more: Any) -> bytes:
    tensor = {"name": "x", "shape": shape, "datatype": datatype, "data": data}
    return PADDING + json.dumps({"inputs": [tensor], **more}).encode()


def short_way(known: Moulds, body: bytes) -> Call | None:
    """As the third of its kind is read."""
    for _ in range(2):
        known.call_in(body, "m", None)
    return known.call_in(body, "m", None)


def assert_same(quick: Call | None, slow: Call) -> None:
    assert quick is not None
    assert list(quick.inputs) == list(slow.inputs)
    for name, array in slow.inputs.items():
        assert (quick.inputs[name].dtype, quick.inputs[name].shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(quick.inputs[name], array)
    quick.inputs, slow.inputs = {}, {}
    assert quick == slow


@pytest.mark.parametrize("datatype", [each for each in DataType if each not in {"BOOL", "BYTES"}])
@pytest.mark.parametrize(
    ("data", "shape"), [([1, 2, 3], [3]), ([1, 2, 3], [1, 3]), ([[1, 2, 3]], [1, 3]), ([[[1, 2]]], [1, 1, 2])]
)
def test_other_numbers_in_known_text_are_read_the_short_way(
    datatype: str, data: Any, shape: list[int]
) -> None:
    known, other = moulds(), json.loads(json.dumps(data).replace("1", "7"))
    assert short_way(known, body_of(data, shape, datatype, id="a")) is not None
    body = body_of(other, shape, datatype, id="a")
    assert_same(known.call_in(body, "m", None), long_way(body))


def test_what_the_request_asks_for_is_kept() -> None:
    body = body_of(
        [0.5, 1e-3],
        [2],
        id="seven",
        parameters={"timeout": 5000, "binary_data_output": True, "mine": 1},
        outputs=[{"name": "y", "parameters": {"binary_data": False}}],
    )
    assert_same(short_way(moulds(), body), long_way(body))


def test_two_calls_of_one_mould_share_nothing_that_changes() -> None:
    known = moulds()
    body = body_of([1, 2], [2], parameters={"mine": 1})
    first, second = short_way(known, body), known.call_in(body, "m", None)
    assert first is not None
    assert second is not None
    first.parameters["mine"] = 2
    assert second.parameters == {"mine": 1}
    assert not np.shares_memory(first.inputs["x"], second.inputs["x"])


@pytest.mark.parametrize(
    ("data", "shape"),
    [
        ([[1, 2], [3, 4]], [2, 2]),  # several rows: read the long way
        ([1, 2, 3], [4]),
        (["1", "2"], [2]),
        ([1, None], [2]),
        ([1, [2]], [2]),
        ([1e300], [1]),
        (1, [1]),
    ],
)
def test_whatever_does_not_fit_is_left_to_the_long_way(data: Any, shape: list[int]) -> None:
    known = moulds()
    for good in ([1], [[1]]):
        short_way(known, body_of(good, shape))
    assert short_way(known, body_of(data, shape)) is None


@pytest.mark.parametrize(
    "text",
    [
        (
            b'{"id": "\\"data\\": [1]", '
            b'"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [5]}]}'
        ),
        b'{"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [5], "data": [6]}]}',
        b'{"inputs": [{"data": "[3]", "name": "x", "shape": [1], "datatype": "FP32"}]}',
        b'{"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [5] }], "data": [6]}',
        (
            b'{"parameters": {"data": [4]}, "inputs": '
            b'[{"name": "x", "shape": [1], "datatype": "FP32", "data": [5]}]}'
        ),
        b'{"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [5]}',
        b'{"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [05]}]}',
        b'{"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [5,]}]}',
    ],
)
def test_text_that_only_looks_like_a_list_of_numbers_misleads_nobody(text: bytes) -> None:
    body = PADDING + text
    quick = short_way(moulds(), body)
    try:
        slow = long_way(body)
    except Malformed:
        assert quick is None
    else:
        if quick is not None:
            assert_same(quick, slow)


numbers = st.integers(-300, 300) | st.floats(allow_nan=False, allow_infinity=False, width=32)
values = numbers | st.none() | st.booleans() | st.sampled_from(["1", "]", "[", '"data"', '"data":[1]'])
lists = st.recursive(
    st.lists(numbers, max_size=4), lambda inner: st.lists(inner | values, max_size=3), max_leaves=6
)
names = st.sampled_from(["x", '"data"', "data", '"data":[1]', "a]b", "[", "\\"])
tensors = st.fixed_dictionaries(
    {
        "name": names,
        "datatype": st.sampled_from([*DataType]),
        "shape": st.lists(st.integers(0, 4), max_size=3),
        "data": lists | st.lists(numbers, min_size=1, max_size=4),
    },
    optional={"parameters": st.dictionaries(names, values, max_size=2)},
)


@settings(max_examples=400)
@given(
    st.fixed_dictionaries(
        {"inputs": st.lists(tensors, min_size=1, max_size=2)},
        optional={
            "id": names,
            "data": lists,
            "parameters": st.dictionaries(names, values | lists, max_size=2),
        },
    ),
    st.permutations(["inputs", "id", "data", "parameters"]),
)
def test_the_short_way_never_says_anything_else(request: dict[str, Any], order: list[str]) -> None:
    body = PADDING + json.dumps({key: request[key] for key in order if key in request}).encode()
    quick = short_way(moulds(), body)
    if quick is not None:
        assert_same(quick, long_way(body))


def test_text_that_never_comes_again_is_not_remembered() -> None:
    known = moulds()
    for number in range(3000):
        assert known.call_in(body_of([1, 2], [2], id=str(number)), "m", None) is None
    assert not known._moulds
    assert len(known._seen) <= 1024


def test_the_node_reads_requests_this_way() -> None:
    body = body_of([1.5, 2.5], [1, 2])
    answers = [oip.decode_request(body, None, "m", None) for _ in range(4)]
    assert all(each.inputs["x"].tolist() == [[1.5, 2.5]] for each in answers)
    assert oip._MOULDS.call_in(body, "m", None) is not None
