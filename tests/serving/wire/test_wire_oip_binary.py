"""The binary tensor extension: JSON and bytes in every mixture, and everything that sizes can do wrong."""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np
import pytest

from forebay.core import DataType, Signature, TensorSpec
from forebay.core.errors import Malformed, Unsupported
from forebay.serving.wire import Answer, Call, oip

FP32, BYTES = DataType.FP32, DataType.BYTES


def binary(name: str, datatype: str, shape: list[int], size: Any, **fields: Any) -> dict[str, Any]:
    return {
        "name": name,
        "datatype": datatype,
        "shape": shape,
        "parameters": {"binary_data_size": size},
        **fields,
    }


def decode(head: dict[str, Any], tail: bytes) -> Call:
    text = json.dumps(head).encode()
    return oip.decode_request(text + tail, len(text), "m", "2")


def refused(head: dict[str, Any], tail: bytes) -> str:
    with pytest.raises(Malformed) as caught:
        decode(head, tail)
    return str(caught.value)


def test_json_and_binary_inputs_mix_in_any_order() -> None:
    a = np.array([[1.5, -2]], "<f4")
    c = np.array([7, -9], "<i2")
    head = {
        "id": "x",
        "inputs": [
            binary("a", "FP32", [1, 2], 8),
            {"name": "b", "datatype": "INT64", "shape": [2], "data": [1, 2]},
            binary("c", "INT16", [2], 4),
            binary("s", "BYTES", [1, 2], 11),
        ],
        "outputs": [{"name": "y", "parameters": {"binary_data": True}}],
    }
    strings = struct.pack("<I2sI1s", 2, b"hi", 1, b"\xff")
    call = decode(head, a.tobytes() + c.tobytes() + strings)
    assert list(call.inputs) == ["a", "b", "c", "s"]
    assert np.array_equal(call.inputs["a"], a)
    assert call.inputs["b"].tolist() == [1, 2]
    assert call.inputs["c"].tolist() == [7, -9]
    assert call.inputs["s"].tolist() == [[b"hi", b"\xff"]]
    assert call.wants_binary("y")
    assert not call.wants_binary("z")


def test_arrays_are_aligned_wherever_they_stand() -> None:
    for padding in range(9):
        text = json.dumps({"inputs": [binary("a", "FP64", [3], 24)]}).encode() + b" " * padding
        body = text + np.array([1, 2, 3], "<f8").tobytes()
        array = oip.decode_request(body, len(text), "m", None).inputs["a"]
        assert array.flags.aligned
        assert array.tolist() == [1, 2, 3]


def test_our_own_requests_need_no_copy() -> None:
    body, size = oip.encode_request(Call("m", {"a": np.arange(5, dtype=np.float64)}), binary=True)
    assert size is not None
    array = oip.decode_request(body, size, "m", None).inputs["a"]
    assert not array.flags.owndata
    assert not array.flags.writeable


@pytest.mark.parametrize(
    ("tensor", "tail", "words"),
    [
        (
            binary("a", "FP32", [2], 8),
            b"1234567",
            "size for input: it wants 8 bytes, and 7 are left",
        ),
        (binary("a", "FP32", [2], 8), b"123456789", "unexpected additional input data: 1 bytes"),
        (
            binary("a", "FP32", [2], 4),
            b"1234",
            "4 bytes came, and the shape [2] of FP32 takes 8",
        ),
        (binary("a", "FP32", [0], 4), b"1234", "unexpected size for input"),
        (binary("a", "FP32", [2**32, 2**32], 0), b"", "byte size overflow for input"),
        (binary("a", "FP32", [2**62 + 1], 4), b"1234", "byte size overflow for input"),
        (binary("a", "INT8", [2**62], 4), b"1234", "unexpected size for input"),
        (binary("a", "BOOL", [2], 2), b"\x01\x02", "takes the bytes 0 and 1"),
        (binary("a", "FP32", [2], -8), b"", "'binary_data_size' -8"),
        (binary("a", "FP32", [2], True), b"1", "'binary_data_size' True"),
        (binary("a", "FP32", [2], "8"), b"12345678", "'binary_data_size' '8'"),
        (binary("a", "FP32", [2], 8.0), b"12345678", "'binary_data_size' 8.0"),
        (binary("a", "FP32", [2], 2**70), b"12345678", "wants 1180591620717411303424 bytes"),
        (binary("a", "FP32", [2], 8, data=[1, 2]), b"12345678", "both 'data' and 'binary_data_size'"),
        (binary("a", "BYTES", [1], 3), b"\x01\0\0", "within the length of string 0"),
        (binary("a", "BYTES", [1], 4), b"\x01\0\0\0", "ends within string 0"),
        (binary("a", "BYTES", [2], 5), b"\x01\0\0\0a", "takes 2 strings, and 1 came"),
        (binary("a", "BYTES", [1], 10), b"\x01\0\0\0a" * 2, "unexpected additional input data"),
        (binary("a", "BYTES", [0], 5), b"\x01\0\0\0a", "unexpected additional input data"),
        (binary("a", "BYTES", [1], 4), b"\xff\xff\xff\xff", "ends within string 0"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(tensor: dict[str, Any], tail: bytes, words: str) -> None:
    assert words in refused({"inputs": [tensor]}, tail)


def test_bytes_without_the_header_that_announces_them_are_refused() -> None:
    body = json.dumps({"inputs": [binary("a", "FP32", [1], 4)]}).encode()
    with pytest.raises(Malformed, match="no header Inference-Header-Content-Length"):
        oip.decode_request(body, None, "m", None)


@pytest.mark.parametrize("size", [-1, 5, 10**30])
def test_a_header_length_beyond_the_body_is_refused(size: int) -> None:
    with pytest.raises(Malformed, match="the body has 2"):
        oip.decode_request(b"{}", size, "m", None)
    with pytest.raises(Malformed, match="the body has 2"):
        oip.decode_answer(b"{}", size)


def test_the_header_is_a_number_within_the_body() -> None:
    assert oip.json_size_from(None, 9) is None
    assert oip.json_size_from(b" 9 ", 9) == 9
    assert oip.json_size_from("0", 9) == 0
    for header in ("-1", "10", "", "x", "1.0", "1e1", "٣", "9" * 5000, b"\xff"):
        with pytest.raises(Malformed, match="from 0 to 9"):
            oip.json_size_from(header, 9)


def model(*inputs: TensorSpec) -> Signature:
    return Signature(inputs, (TensorSpec("y", FP32, (-1,)),))


def raw(body: bytes, signature: Signature) -> Call:
    return oip.decode_request(body, 0, "m", None, signature)


@pytest.mark.parametrize(
    ("shape", "size", "got"),
    [
        ((-1, 3), 12, (1, 3)),
        ((3,), 12, (3,)),
        ((-1,), 12, (3,)),
        ((-1, -1), 12, (1, 3)),
        ((-1, 2, -1), 16, (1, 2, 2)),
    ],
)
def test_a_raw_body_is_the_only_input(shape: tuple[int, ...], size: int, got: tuple[int, ...]) -> None:
    call = raw(bytes(size), model(TensorSpec("x", FP32, shape)))
    assert call.inputs["x"].shape == got
    assert call.wants_binary("y")


@pytest.mark.parametrize("shape", [(1,), (-1, 1), (-1,)])
def test_a_raw_body_is_one_string(shape: tuple[int, ...]) -> None:
    call = raw(b"hello", model(TensorSpec("x", BYTES, shape)))
    assert call.inputs["x"].ravel().tolist() == [b"hello"]
    assert call.inputs["x"].ndim == len(shape)


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        (
            [TensorSpec("a", FP32, (-1,)), TensorSpec("b", FP32, (-1,))],
            "Raw request must only have 1 input (found 1)",
        ),
        ([TensorSpec("x", FP32, (-1, -1, -1))], "The shape of the raw input 'x' can not be deduced because"),
        (
            [TensorSpec("x", BYTES, (-1, 2))],
            "For BYTE datatype raw input 'x', the model must have input shape [1]",
        ),
        (
            [TensorSpec("x", FP32, (-1, 3))],
            "raw input 'x' has an unexpected size for input: 10 bytes",
        ),
        ([TensorSpec("x", FP32, (-1, 0, -1))], "unexpected size for input"),
        ([TensorSpec("x", FP32, (-1,))], "unexpected size for input"),
    ],
)
def test_a_raw_body_that_cannot_be_the_input_is_refused(inputs: list[TensorSpec], words: str) -> None:
    with pytest.raises(Malformed) as caught:
        raw(bytes(10), model(*inputs))
    assert words in str(caught.value)


def test_a_raw_body_for_an_unknown_model_is_refused() -> None:
    with pytest.raises(Malformed, match="one input"):
        oip.decode_request(b"1234", 0, "m", None)


def test_raw_bf16_is_named() -> None:
    assert raw(bytes(4), model(TensorSpec("x", DataType.BF16, (-1,)))).bf16 == ("x",)


def test_outputs_go_back_as_bytes_where_they_are_wanted() -> None:
    outputs = {
        "a": np.array([[1, 2]], ">f4"),
        "b": np.array(["x"], dtype=object),
        "c": np.array([0x3F80], np.uint16),
    }
    call = Call("m", {}, binary=True, binary_of={"b": False})
    body, size = oip.encode_answer(Answer("m", "1", outputs, bf16=("c",)), call)
    assert size is not None
    head = json.loads(body[:size])
    assert [output.get("parameters") for output in head["outputs"]] == [
        {"binary_data_size": 8},
        None,
        {"binary_data_size": 2},
    ]
    assert body[size:] == np.array([1, 2], "<f4").tobytes() + b"\x80\x3f"
    answer = oip.decode_answer(body, size)
    assert answer.bf16 == ("c",)
    assert answer.outputs["a"].tolist() == [[1, 2]]
    assert answer.outputs["b"].tolist() == ["x"]


def test_bf16_is_written_as_numbers_in_json() -> None:
    outputs = {"c": np.array([0x3F80, 0xC000], np.uint16)}
    body, _ = oip.encode_answer(Answer("m", "1", outputs, bf16=("c",)), Call("m", {}))
    assert json.loads(body)["outputs"][0] == {
        "name": "c",
        "shape": [2],
        "datatype": "BF16",
        "data": [1.0, -2.0],
    }
    assert oip.decode_answer(body, None).outputs["c"].tolist() == [0x3F80, 0xC000]


def test_the_client_says_what_it_wants_back() -> None:
    call = Call(
        "m",
        {"x": np.zeros((1, 2), np.float32)},
        id="7",
        outputs=("a", "b"),
        binary=True,
        binary_of={"b": False},
        parameters={"priority": 1},
        timeout_s=0.25,
    )
    for binary_inputs in (False, True):
        body, size = oip.encode_request(call, binary=binary_inputs)
        assert (size is not None) == binary_inputs
        again = oip.decode_request(body, size, "m", None)
        assert np.array_equal(again.inputs.pop("x"), call.inputs["x"])
        assert again == Call(
            "m",
            {},
            id="7",
            outputs=("a", "b"),
            binary=True,
            binary_of={"b": False},
            parameters={"priority": 1},
            timeout_s=0.25,
        )


def test_the_client_may_want_one_output_in_binary_without_listing_them() -> None:
    body, _ = oip.encode_request(Call("m", {}, binary_of={"y": True}))
    assert json.loads(body)["outputs"] == [{"name": "y", "parameters": {"binary_data": True}}]


def test_what_the_protocol_cannot_say_is_refused() -> None:
    with pytest.raises(Malformed, match=r"input 'x' has the dtype complex128"):
        oip.encode_request(Call("m", {"x": np.zeros(1, complex)}))
    with pytest.raises(Malformed, match="cannot be written as JSON"):
        oip.encode_request(Call("m", {"x": np.array(["\ud800"], dtype=object)}))
    with pytest.raises(Malformed, match="cannot be written as UTF-8"):
        oip.encode_request(Call("m", {"x": np.array(["\ud800"], dtype=object)}), binary=True)


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        b"[]",
        b"{}",
        b'{"model_name": 7, "outputs": []}',
        b'{"model_name": "m"}',
        b'{"error": "no"}',
    ],
)
def test_an_answer_of_something_else_is_refused(body: bytes) -> None:
    with pytest.raises(Malformed):
        oip.decode_answer(body, None)


def test_shared_memory_is_said_to_be_missing() -> None:
    tensor = {"name": "a", "datatype": "FP32", "shape": [1], "parameters": {"shared_memory_region": "r"}}
    with pytest.raises(Unsupported, match="shared memory"):
        decode({"inputs": [tensor]}, b"")
