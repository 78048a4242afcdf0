"""The Open Inference Protocol in JSON: what a caller may write, and what they are told when they may not."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from forebay.core import Array
from forebay.core.errors import ForebayError, Malformed, Unsupported
from forebay.serving.wire import Answer, Call, oip


def tensor(datatype: str, shape: list[int], data: Any, **fields: Any) -> dict[str, Any]:
    return {"name": "x", "datatype": datatype, "shape": shape, "data": data, **fields}


def decode(*inputs: dict[str, Any], **fields: Any) -> Call:
    body = json.dumps({"inputs": list(inputs), **fields}).encode()
    return oip.decode_request(body, None, "m", None)


def decoded(datatype: str, shape: list[int], data: Any) -> Array:
    return decode(tensor(datatype, shape, data)).inputs["x"]


def refused(*inputs: Any, **fields: Any) -> str:
    with pytest.raises(Malformed) as caught:
        decode(*inputs, **fields)
    return str(caught.value)


@pytest.mark.parametrize(
    ("datatype", "data"),
    [
        ("BOOL", [True, False, True, True]),
        ("UINT8", [0, 255, 1, 2]),
        ("UINT16", [0, 65535, 1, 2]),
        ("UINT32", [0, 2**32 - 1, 1, 2]),
        ("UINT64", [0, 2**64 - 1, 1, 2]),
        ("INT8", [-128, 127, 1, 2]),
        ("INT16", [-(2**15), 2**15 - 1, 1, 2]),
        ("INT32", [-(2**31), 2**31 - 1, 1, 2]),
        ("INT64", [-(2**63), 2**63 - 1, 1, 2]),
        ("FP16", [0, -1.5, 65504, 2]),
        ("FP32", [0, -1.5, 3.25, 2.0**100]),
        ("FP64", [0, -1.5, 0.1, 1e300]),
        ("BYTES", ["", "a", "ü", "日本"]),
    ],
)
@pytest.mark.parametrize("nested", [False, True])
def test_every_datatype_arrives_as_it_was_written(datatype: str, data: list[Any], nested: bool) -> None:
    array = decoded(datatype, [2, 2], [data[:2], data[2:]] if nested else data)
    assert array.shape == (2, 2)
    assert array.ravel().tolist() == data


def test_bf16_comes_as_bits_rounded_to_nearest_even() -> None:
    call = decode(tensor("BF16", [4], [1.0, 1.00390625, 1.01171875, -2]))
    assert call.inputs["x"].tolist() == [0x3F80, 0x3F80, 0x3F82, 0xC000]
    assert call.bf16 == ("x",)


@pytest.mark.parametrize("datatype", ["FP16", "FP32", "FP64"])
def test_nan_and_infinity_tokens_are_numbers(datatype: str) -> None:
    array = decoded(datatype, [2, 2], [[float("nan"), float("inf")], [-float("inf"), 1.5]])
    assert np.array_equal(array, np.array([[np.nan, np.inf], [-np.inf, 1.5]]), equal_nan=True)


@pytest.mark.parametrize("first", ["NaN", "Infinity", "-Infinity"])
def test_any_of_the_tokens_may_come_first(first: str) -> None:
    body = f'{{"inputs": [{{"name": "x", "datatype": "FP32", "shape": [2], "data": [{first}, 1.5]}}]}}'
    assert oip.decode_request(body.encode(), None, "m", None).inputs["x"][1] == 1.5


def test_whole_numbers_beyond_64_bits_are_fine_for_floats() -> None:
    assert decoded("FP64", [1], [10**20]).tolist() == [1e20]


def test_an_empty_batch_is_an_array_of_no_rows() -> None:
    assert decoded("FP32", [0, 4], []).shape == (0, 4)
    assert decoded("BYTES", [2, 0], [[], []]).shape == (2, 0)


@pytest.mark.parametrize(
    ("datatype", "value", "words"),
    [
        ("INT32", 1.5, "takes whole numbers, but value 1 is 1.5"),
        ("INT32", 1.0, "takes whole numbers, but value 1 is 1.0"),
        ("INT32", "1", "takes whole numbers, but value 1 is '1'"),
        ("INT32", True, "takes whole numbers, but value 1 is true"),
        ("INT32", None, "takes whole numbers, but value 1 is null"),
        ("INT32", 2**31, "beyond the range of INT32"),
        ("INT64", 2**63, "beyond the range of INT64"),
        ("INT64", 2**70, "beyond the range of INT64"),
        ("UINT64", -1, "beyond the range of UINT64"),
        ("UINT8", -1, "beyond the range of UINT8"),
        ("FP32", "1.5", "takes numbers, but value 1 is '1.5'"),
        ("FP32", False, "takes numbers, but value 1 is false"),
        ("FP32", None, "takes numbers, but value 1 is null"),
        ("FP32", {}, "takes numbers, but value 1 is an object"),
        ("FP32", 1e39, "beyond the range of FP32"),
        ("FP16", 1e5, "beyond the range of FP16"),
        ("BF16", 3.4e38 * 1.0019, "beyond the range of BF16"),
        ("BOOL", 1, "takes true or false, but value 1 is 1"),
        ("BYTES", 1, "takes strings, but value 1 is 1"),
        ("BYTES", None, "takes strings, but value 1 is null"),
    ],
)
@pytest.mark.parametrize("slowly", [False, True])
def test_a_value_that_does_not_fit_is_refused_by_name(
    datatype: str, value: Any, words: str, slowly: bool
) -> None:
    good = {"BOOL": True, "BYTES": "a"}.get(datatype, 1)
    others = [tensor("FP32", [1], [float("nan")], name="other")] if slowly else []
    message = refused(*others, tensor(datatype, [2], [good, value]))
    assert message.startswith("input 'x' ")
    assert words in message


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"shape": [1, 4]}, "takes 4 values, and 2 came"),
        ({"shape": [-1, 2]}, "whole numbers from 0 on"),
        ({"shape": [True, 2]}, "whole numbers from 0 on"),
        ({"shape": [2.0]}, "whole numbers from 0 on"),
        ({"shape": "2"}, "has no 'shape'"),
        ({"shape": None}, "has no 'shape'"),
        ({"shape": [2**32, 2**32]}, "causes total element count to exceed maximum size of"),
        ({"shape": [2**62, 2]}, "byte size overflow for input"),
        ({"shape": [0, 2**62, 4]}, "byte size overflow for input"),
        ({"shape": [2**61 + 1]}, "byte size overflow for input"),
        ({"shape": [10**30]}, "byte size overflow for input"),
        ({"shape": [1] * 65}, "at most 64"),
        ({"data": None}, "has no 'data'"),
        ({"data": 1.5}, "has no 'data'"),
        ({"data": [[1], [2, 3]]}, "ragged"),
        ({"data": [[1], 2]}, "mixes lists and values"),
        ({"data": [1, [2, 3]]}, ""),
        ({"datatype": "FP31"}, "'FP31'; there are BOOL"),
        ({"datatype": 7}, "has the datatype 7"),
        ({"datatype": None}, "has the datatype None"),
        ({"parameters": 7}, "'parameters' that are no object"),
        ({"parameters": {"binary_data_size": 8}}, "both 'data' and 'binary_data_size'"),
    ],
)
def test_a_tensor_that_contradicts_itself_is_refused(fields: dict[str, Any], words: str) -> None:
    message = refused({**tensor("FP32", [2], [1, 2]), **fields})
    assert message.startswith("input 'x' ")
    assert words in message


def test_a_transposed_matrix_is_refused() -> None:
    assert "nested as [3, 2]" in refused(tensor("FP32", [2, 3], [[1, 4], [2, 5], [3, 6]]))


def test_nested_data_may_leave_out_or_merge_dimensions() -> None:
    assert decoded("FP32", [1, 2, 2], [[1, 2], [3, 4]]).tolist() == [[[1, 2], [3, 4]]]
    assert decoded("FP32", [2, 2, 2], [[1, 2, 3, 4], [5, 6, 7, 8]]).shape == (2, 2, 2)
    assert decoded("INT8", [2], [[[1, 2]]]).tolist() == [1, 2]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "no JSON"),
        (b"{", "no JSON"),
        (b"\xff\xfe", "no JSON"),
        (b'{"inputs": [}', "no JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"inputs":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested too deeply"),
        (b"[NaN," + b"[" * 100_000 + b"]" * 100_000 + b"]", "nested too deeply"),
        (b'{"inputs": [1e999]}', "the number 1e999 is beyond the range of FP64"),
        (b'{"inputs": [-Infinity, 1e999]}', "the number 1e999 is beyond the range of FP64"),
        (b'{"inputs": [-]}', "no JSON"),
        (b'{"inputs": [01]}', "no JSON"),
        (b'{"inputs": [' + b"1" * 5000 + b"]}", "no JSON"),
        (b'{"id": "\\ud800", "inputs": []}', "no JSON"),
        (b'{"id": "\\ud800", "inputs": [NaN]}', "no JSON"),
        (b"[]", "JSON object"),
        (b"3", "JSON object"),
        (b"null", "JSON object"),
        (b"{}", "a list 'inputs'"),
        (b'{"inputs": {}}', "a list 'inputs'"),
        (b'{"inputs": [7]}', "an input is a JSON object"),
        (b'{"inputs": [{}]}', "a 'name' of its own"),
        (b'{"inputs": [], "id": 7}', "'id' is a string"),
        (b'{"inputs": [], "parameters": []}', "'parameters' is an object"),
        (b'{"inputs": [], "parameters": {"timeout": -1}}', "microseconds"),
        (b'{"inputs": [], "parameters": {"timeout": true}}', "microseconds"),
        (b'{"inputs": [], "parameters": {"binary_data_output": 1}}', "true or false"),
        (b'{"inputs": [], "outputs": {}}', "'outputs' is a list"),
        (b'{"inputs": [], "outputs": ["y"]}', "a wanted output is a JSON object"),
        (b'{"inputs": [], "outputs": [{"name": 7}]}', "a 'name' of its own"),
        (b'{"inputs": [], "outputs": [{"name": "y"}, {"name": "y"}]}', "a 'name' of its own"),
        (b'{"inputs": [], "outputs": [{"name": "y", "parameters": 7}]}', "no object"),
        (b'{"inputs": [], "outputs": [{"name": "y", "parameters": {"binary_data": 7}}]}', "'binary_data'"),
    ],
)
def test_a_body_that_is_no_request_is_refused_with_a_sentence(body: bytes, words: str) -> None:
    with pytest.raises(Malformed, match=words):
        oip.decode_request(body, None, "m", None)


def test_two_inputs_of_one_name_are_refused() -> None:
    assert "a 'name' of its own" in refused(tensor("FP32", [1], [1]), tensor("FP32", [1], [2]))


def test_what_is_not_served_is_said_and_not_ignored() -> None:
    with pytest.raises(Unsupported, match="shared_memory_region"):
        decode(outputs=[{"name": "y", "parameters": {"shared_memory_region": "r"}}])
    with pytest.raises(Unsupported, match="shared memory"):
        decode(tensor("FP32", [1], [1], parameters={"shared_memory_region": "r"}))


def test_id_parameters_timeout_and_wanted_outputs_are_understood() -> None:
    call = decode(
        tensor("FP32", [1], [1], parameters={"content_type": "np"}),
        id="req-1",
        parameters={"headers": None, "priority": 3, "timeout": 1_500_000, "binary_data_output": True},
        outputs=[
            {"name": "b"},
            {"name": "a", "parameters": {"binary_data": False}},
            {"name": "c", "parameters": None},
        ],
    )
    assert (call.model, call.version, call.id) == ("m", None, "req-1")
    assert call.parameters == {"priority": 3}
    assert call.timeout_s == 1.5
    assert call.outputs == ("b", "a", "c")
    assert [call.wants_binary(name) for name in call.outputs] == [True, False, True]


def test_nulls_mean_that_nothing_was_said() -> None:
    call = decode(tensor("FP32", [1], [1], parameters=None), id=None, parameters=None, outputs=None)
    assert (call.id, call.parameters, call.outputs, call.timeout_s) == (None, {}, (), None)


def test_a_refused_request_does_not_spoil_the_next() -> None:
    kept: list[ForebayError] = []
    for _ in range(20):  # the errors are kept, and with them everything that their tracebacks hold
        with pytest.raises(Malformed) as caught:
            decode(tensor("FP32", [2, 2], [[1, 2], [3, "4"]]))
        kept.append(caught.value)
        assert decoded("FP32", [2], [1, 2]).tolist() == [1, 2]


def test_an_answer_reads_as_the_protocol_says() -> None:
    outputs = {
        "label": np.array(["a", b"b"], dtype=object),
        "p": np.array([[0.1, 0.9], [1.5, -2]], dtype=np.float32),
    }
    body, json_size = oip.encode_answer(Answer("m", "3", outputs, "id-1"), Call("m", {}))
    assert json_size is None
    assert json.loads(body) == {
        "model_name": "m",
        "model_version": "3",
        "id": "id-1",
        "outputs": [
            {"name": "label", "shape": [2], "datatype": "BYTES", "data": ["a", "b"]},
            {"name": "p", "shape": [2, 2], "datatype": "FP32", "data": [0.1, 0.9, 1.5, -2.0]},
        ],
    }


def test_only_the_wanted_outputs_are_answered_in_the_wanted_order() -> None:
    outputs = {name: np.zeros(1, np.int64) for name in ("a", "b", "c")}
    answer = Answer("m", None, outputs)
    body, _ = oip.encode_answer(answer, Call("m", {}, outputs=("c", "a")))
    assert [output["name"] for output in json.loads(body)["outputs"]] == ["c", "a"]
    assert "id" not in json.loads(body)
    assert "model_version" not in json.loads(body)
    with pytest.raises(Malformed, match="no output 'd'; it has"):
        oip.encode_answer(answer, Call("m", {}, outputs=("d",)))


def test_nan_and_infinity_go_back_as_bare_tokens() -> None:
    outputs = {"p": np.array([np.nan, np.inf, -np.inf, 1], np.float32), "s": np.array(["null"], dtype=object)}
    body, _ = oip.encode_answer(Answer("m", "1", outputs), Call("m", {}))
    assert b'"data":[NaN,Infinity,-Infinity,1.0]' in body
    again = oip.decode_answer(body, None)
    assert np.array_equal(again.outputs["p"], outputs["p"], equal_nan=True)


def test_strings_that_are_no_utf_8_have_to_be_asked_for_as_bytes() -> None:
    answer = Answer("m", "1", {"s": np.array([b"\xff"], dtype=object)})
    with pytest.raises(Malformed, match=r"output 's' .* binary form"):
        oip.encode_answer(answer, Call("m", {}))
    body, json_size = oip.encode_answer(answer, Call("m", {}, binary=True))
    assert oip.decode_answer(body, json_size).outputs["s"].tolist() == [b"\xff"]
