"""Whatever arrives: a value or a sentence, never a crash; and what one end writes the other end reads."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from forebay.core import Array, DataType, Signature, TensorSpec
from forebay.core.errors import ForebayError, Malformed
from forebay.serving.wire import Answer, Call, oip, rows
from forebay.serving.wire.datatypes import bf16_from, bf16_to_float32

FIELDS = [
    *("inputs", "outputs", "name", "shape", "datatype", "data", "parameters", "id", "binary_data_size"),
    *("binary_data", "timeout", "rows", "records", "a", "b", "model_name"),
]
numbers = st.integers(-(2**70), 2**70) | st.integers(-3, 300) | st.floats()
scalars = st.none() | st.booleans() | numbers | st.text(max_size=5) | st.sampled_from([*FIELDS, *DataType])
documents = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=5),
    max_leaves=25,
)
flat = st.lists(scalars, max_size=5)
data = flat | st.lists(flat, max_size=3) | st.lists(numbers, max_size=6) | scalars
tensors = st.fixed_dictionaries(
    {"name": st.sampled_from(["a", "b"]), "datatype": st.sampled_from([*DataType])},
    optional={
        "shape": st.lists(st.integers(0, 3) | st.integers(0, 2**64), max_size=3) | scalars,
        "data": data,
        "parameters": st.dictionaries(st.sampled_from(FIELDS), scalars, max_size=2) | scalars,
    },
)
requests = st.fixed_dictionaries(
    {"inputs": st.lists(tensors, max_size=3)},
    optional={"id": scalars, "parameters": documents, "outputs": documents},
)
SIGNATURES = [
    Signature((TensorSpec("a", DataType.FP32, (-1, 2)),), ()),
    Signature((TensorSpec("a", DataType.FP32, (-1, 2), ("a", "b")),), ()),
    Signature((TensorSpec("a", DataType.INT8, (-1, 1)), TensorSpec("b", DataType.BYTES, (-1,))), ()),
    Signature((TensorSpec("a", DataType.BOOL, (-1, 1)), TensorSpec("b", DataType.FP16, (-1, -1))), ()),
    Signature((TensorSpec("a", DataType.BF16, (-1, 2, 1)),), ()),
    Signature((TensorSpec("a", DataType.BYTES, (-1, -1)),), ()),
    Signature((TensorSpec("a", DataType.UINT64, (-1,)),), ()),
    Signature((TensorSpec("a", DataType.FP64, (2,)),), ()),
]


def json_bytes(document: Any) -> bytes:
    return json.dumps(document).encode()


@given(st.binary(max_size=80), st.none() | st.integers(-2, 90))
def test_any_bytes_are_a_call_or_a_sentence(body: bytes, json_size: int | None) -> None:
    for signature in (None, *SIGNATURES):
        with contextlib.suppress(ForebayError):
            oip.decode_request(body, json_size, "m", None, signature)
        if signature is not None:
            with contextlib.suppress(ForebayError):
                rows.decode_request(body, signature, "m", None)
    with contextlib.suppress(ForebayError):
        oip.decode_answer(body, json_size)


@settings(max_examples=300)
@given(documents | requests, st.binary(max_size=20))
def test_any_json_is_a_call_or_a_sentence(document: Any, tail: bytes) -> None:
    body = json_bytes(document)
    for json_size in (None, len(body)):
        with contextlib.suppress(ForebayError):
            call = oip.decode_request(body + (b"" if json_size is None else tail), json_size, "m", None)
            assert all(array.flags.aligned for array in call.inputs.values())
        with contextlib.suppress(ForebayError):
            oip.decode_answer(body, json_size)


@settings(max_examples=300)
@given(documents | st.lists(st.lists(scalars, max_size=3), max_size=3), st.sampled_from(SIGNATURES))
def test_any_table_fits_the_signature_or_is_refused(document: Any, signature: Signature) -> None:
    with contextlib.suppress(ForebayError):
        call = rows.decode_request(json_bytes(document), signature, "m", None)
        assert signature.check(call.inputs) >= 1


@settings(max_examples=300)
@given(requests)
@example({"inputs": [{"name": "a", "datatype": "FP32", "shape": [2], "data": [[], 1, 2]}]})
def test_both_readers_of_json_agree(document: Any) -> None:
    def outcome(body: bytes) -> Any:
        try:
            return oip.decode_request(body, None, "m", None)
        except Malformed as error:
            return str(error)

    quick = outcome(json_bytes(document))
    # A number that simdjson does not take, where nobody looks, has the whole read by Python.
    slow = outcome(json_bytes({**document, "unknown": 10**30}))
    if isinstance(quick, Call) and isinstance(slow, Call):
        quick_inputs, slow_inputs, quick.inputs, slow.inputs = quick.inputs, slow.inputs, {}, {}
        assert_same_tensors(quick_inputs, slow_inputs)
    elif isinstance(quick, str) and isinstance(slow, str):
        return
    assert quick == slow


def assert_same_tensors(left: dict[str, Array], right: dict[str, Array]) -> None:
    assert list(left) == list(right)
    for name, array in left.items():
        other = right[name]
        assert (array.dtype, array.shape) == (other.dtype, other.shape)
        if array.dtype == object:
            assert [as_bytes(value) for value in array.ravel()] == [
                as_bytes(value) for value in other.ravel()
            ]
        else:
            assert np.array_equal(array, other, equal_nan=array.dtype.kind == "f")


def as_bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value


shapes = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=3)
texts = st.text(st.characters(codec="utf-8"), max_size=6)


def arrays_of(datatype: DataType) -> st.SearchStrategy[Array]:
    if datatype is DataType.BYTES:
        return hnp.arrays(object, shapes, elements=texts | texts.map(str.encode))
    if datatype is DataType.BF16:  # a NaN has many bit patterns, and JSON one
        return hnp.arrays(
            np.uint16, shapes, elements=st.integers(0, 0xFFFF).filter(lambda bits: not is_nan(bits))
        )
    return hnp.arrays(datatype.dtype, shapes)


def is_nan(bf16: int) -> bool:
    return bf16 & 0x7F80 == 0x7F80 and bf16 & 0x7F != 0


@pytest.mark.parametrize("datatype", list(DataType))
@settings(max_examples=60)
@given(draw=st.data(), binary=st.booleans(), other=st.booleans())
def test_every_tensor_survives_the_way(
    datatype: DataType, draw: st.DataObject, binary: bool, other: bool
) -> None:
    array = draw.draw(arrays_of(datatype))
    bf16 = ("x",) if datatype is DataType.BF16 else ()
    sent = {"x": array, "é\n": np.arange(3)}
    call = Call("m", sent, binary=binary, binary_of={"é\n": other}, bf16=bf16)
    got = oip.decode_request(*oip.encode_request(call, binary=binary), "m", None)
    assert_same_tensors(got.inputs, sent)
    assert (got.bf16, got.binary, got.binary_of) == (bf16, binary, {"é\n": other})
    answer = oip.decode_answer(*oip.encode_answer(Answer("m", "1", sent, bf16=bf16), call))
    assert_same_tensors(answer.outputs, sent)
    assert answer.bf16 == bf16


@given(hnp.arrays(np.float64, 20, elements=st.floats(width=64)))
def test_bf16_is_the_nearest_there_is(values: Array) -> None:
    try:
        got = bf16_to_float32(bf16_from(values)).astype(np.float64)
    except FloatingPointError:
        assert np.abs(values[np.isfinite(values)]).max() > 3.38e38
        return
    finite = np.isfinite(values)
    assert np.array_equal(np.isnan(got), np.isnan(values))
    assert np.array_equal(got[~finite], values[~finite], equal_nan=True)
    error = np.abs(got[finite] - values[finite])
    assert (error <= np.maximum(np.abs(values[finite]) * 2.0**-8, 2.0**-133)).all()


TABLE = (TensorSpec("x", DataType.FP32, (-1, 2), ("a", "b")),)
cells = st.none() | st.floats(width=32, allow_infinity=False)  # JSON has no word for infinity


@given(st.lists(st.lists(cells, min_size=2, max_size=2), min_size=1, max_size=5))
def test_every_table_survives_the_way(table: list[list[float | None]]) -> None:
    signature = Signature(TABLE, TABLE)
    expected = np.array(table, np.float32)
    for data in (table, [dict(zip("ab", row, strict=True)) for row in table]):
        inputs = rows.decode_request(rows.encode_request(data), signature, "m", None).inputs
        assert np.array_equal(inputs["x"], expected, equal_nan=True)
        answer = rows.decode_answer(rows.encode_answer(Answer("m", "1", inputs), signature))
        again = np.array([[row["x"]["a"], row["x"]["b"]] for row in answer.rows], np.float32)
        assert np.array_equal(again, expected, equal_nan=True)
