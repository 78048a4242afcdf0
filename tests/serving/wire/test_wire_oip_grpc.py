"""The Open Inference Protocol over gRPC, both ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from google.protobuf import descriptor_pool
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from forebay.core import Array, DataType
from forebay.core.errors import Malformed, Unsupported
from forebay.serving.wire import Answer, Call, oip_grpc, oip_grpc_pages
from forebay.serving.wire.proto_files import read_proto
from support.rubbish import read_or_refused

Request = oip_grpc.PROTOCOL.message("inference.ModelInferRequest")
Response = oip_grpc.PROTOCOL.message("inference.ModelInferResponse")
TYPED = [each for each in DataType if each not in (DataType.FP16, DataType.BF16)]
SHAPES = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)


def same(one: Array, other: Array) -> bool:
    if one.dtype == object:
        return one.shape == other.shape and one.tolist() == other.tolist()
    return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()


@st.composite
def arrays(draw: st.DrawFn, datatypes: Sequence[DataType]) -> Array:
    datatype = draw(st.sampled_from(datatypes))
    shape = draw(SHAPES)
    if datatype is DataType.BYTES:
        array = np.empty(shape, dtype=object)
        array[...] = draw(hnp.arrays(object, shape, elements=st.binary(max_size=5)))
        return array
    found: Array = draw(hnp.arrays(datatype.dtype, shape))
    return found


def raw_request(**changed: Any) -> Any:
    request = Request(model_name="m", id="7")
    request.inputs.add(name="x", datatype="FP32", shape=[1, 3])
    request.raw_input_contents.append(np.array([1, 2, 3], np.float32).tobytes())
    for name, value in changed.items():
        setattr(request, name, value)
    return request


def refused(request: Any) -> str:
    with pytest.raises(Malformed) as caught:
        oip_grpc.decode_request(request.SerializeToString())
    return str(caught.value)


@given(
    st.dictionaries(st.text("abcé", min_size=1, max_size=3), arrays(list(DataType)), min_size=1, max_size=3)
)
def test_raw_tensors_come_back_as_they_went(inputs: dict[str, Array]) -> None:
    call = oip_grpc.decode_request(oip_grpc.encode_request(Call("m", inputs, "3", id="é")))
    assert (call.model, call.version, call.id) == ("m", "3", "é")
    assert list(call.inputs) == list(inputs)
    assert all(same(call.inputs[name], array) for name, array in inputs.items())


@given(st.dictionaries(st.text("ab", min_size=1, max_size=3), arrays(TYPED), min_size=1, max_size=3))
def test_typed_tensors_come_back_as_they_went(inputs: dict[str, Array]) -> None:
    call = oip_grpc.decode_request(oip_grpc.encode_request(Call("m", inputs), raw=False))
    assert call.id is None
    assert all(same(call.inputs[name], array) for name, array in inputs.items())


@given(st.dictionaries(st.text("ab", min_size=1, max_size=3), arrays(list(DataType)), max_size=3))
def test_answers_come_back_as_they_went(outputs: dict[str, Array]) -> None:
    for _ in range(2):  # the second is written behind the head of the first
        answer = oip_grpc.decode_answer(
            oip_grpc.encode_answer(Answer("m", "1", outputs, "id"), Call("m", {}))
        )
        assert (answer.model, answer.version, answer.id) == ("m", "1", "id")
        assert list(answer.outputs) == list(outputs)
        assert all(same(answer.outputs[name], array) for name, array in outputs.items())


def test_bf16_is_told_from_the_integers_that_hold_it() -> None:
    bits = np.array([[0x3F80]], dtype=np.uint16)
    call = oip_grpc.decode_request(oip_grpc.encode_request(Call("m", {"x": bits}, bf16=("x",))))
    assert call.bf16 == ("x",)
    answer = oip_grpc.decode_answer(
        oip_grpc.encode_answer(Answer("m", "1", {"y": bits, "z": bits}, bf16=("y",)), call)
    )
    assert answer.bf16 == ("y",)
    assert same(answer.outputs["y"], bits)


def test_what_a_client_says_beside_its_tensors_is_kept() -> None:
    request = raw_request()
    request.parameters["timeout"].int64_param = 1500
    request.parameters["priority"].uint64_param = 1
    request.parameters["trace"].string_param = "abc"
    request.outputs.add(name="b")
    request.outputs.add(name="a")
    for _ in range(2):
        call = oip_grpc.decode_request(request.SerializeToString())
        assert call.timeout_s == 0.0015
        assert call.parameters == {"priority": 1, "trace": "abc"}
        assert call.outputs == ("b", "a")
        assert call.id == "7"


def test_two_requests_that_differ_in_their_id_only_share_what_was_read() -> None:
    before = oip_grpc._head_of.cache_info().misses
    for number in range(5):
        message = raw_request(id=f"unique {number}").SerializeToString()
        assert oip_grpc.decode_request(message).id == f"unique {number}"
    assert oip_grpc._head_of.cache_info().misses <= before + 1


def test_fields_in_an_unusual_order_are_read_as_well() -> None:
    tail, head = Request(), raw_request()
    tail.raw_input_contents.append(head.raw_input_contents[0])
    head.ClearField("raw_input_contents")
    call = oip_grpc.decode_request(tail.SerializeToString() + head.SerializeToString())
    assert call.inputs["x"].tolist() == [[1, 2, 3]]


def test_a_wanted_output_that_there_is_not_is_named() -> None:
    with pytest.raises(Malformed, match="no output 'z'"):
        oip_grpc.encode_answer(Answer("m", "1", {"y": np.zeros(1)}), Call("m", {}, outputs=("z",)))


def test_typed_and_raw_contents_do_not_mix() -> None:
    request = raw_request()
    request.inputs[0].contents.fp32_contents.extend([1, 2, 3])
    assert "send one of them" in refused(request)
    request = raw_request()
    request.inputs.add(name="y", datatype="INT32", shape=[1])
    assert "2 inputs and 1 raw_input_contents" in refused(request)


@pytest.mark.parametrize(
    ("datatype", "place", "values", "sentence"),
    [
        ("FP32", "fp64_contents", [1.0, 2.0, 3.0], "has its values in fp32_contents"),
        ("INT8", "int_contents", [1, 2, 300], "beyond the range of INT8"),
        ("UINT8", "int_contents", [1, 2, 3], "has its values in uint_contents"),
        ("FP32", "fp32_contents", [1.0, 2.0], "takes 3 values, and 2 came"),
        ("FP16", "fp32_contents", [1.0, 2.0, 3.0], "only raw_input_contents can hold"),
        ("BF16", "fp32_contents", [1.0, 2.0, 3.0], "only raw_input_contents can hold"),
        ("FP8", "fp32_contents", [1.0, 2.0, 3.0], "has the datatype 'FP8'"),
    ],
)
def test_typed_values_in_the_wrong_place_are_refused(
    datatype: str, place: str, values: list[float], sentence: str
) -> None:
    request = Request(model_name="m")
    tensor = request.inputs.add(name="x", datatype=datatype, shape=[3])
    getattr(tensor.contents, place).extend(values)
    assert sentence in refused(request)


def test_a_tensor_without_values_is_refused_unless_it_is_empty() -> None:
    request = Request(model_name="m")
    request.inputs.add(name="x", datatype="FP32", shape=[2])
    assert "takes 2 values, and 0 came" in refused(request)
    request.inputs[0].shape[0] = 0
    call = oip_grpc.decode_request(request.SerializeToString())
    assert call.inputs["x"].shape == (0,)
    request.inputs[0].datatype = "FP16"
    assert oip_grpc.decode_request(request.SerializeToString()).inputs["x"].dtype == np.float16


@pytest.mark.parametrize(
    ("shape", "size"),
    [([1, 3], 11), ([1, 3], 13), ([2, 3], 12), ([-1, 3], 12), ([2**62, 2**62], 12), ([1] * 65, 4)],
)
def test_raw_tensors_of_the_wrong_size_or_shape_are_refused(shape: list[int], size: int) -> None:
    request = Request(model_name="m")
    request.inputs.add(name="x", datatype="FP32", shape=shape)
    request.raw_input_contents.append(b"\0" * size)
    assert refused(request).startswith("input 'x'")


def test_twins_and_nameless_tensors_are_refused() -> None:
    request = raw_request()
    request.inputs.add(name="x", datatype="FP32", shape=[1])
    request.raw_input_contents.append(b"\0\0\0\0")
    assert "name of its own" in refused(request)
    request.inputs[1].name = ""
    assert "name of its own" in refused(request)


def test_what_is_not_served_is_said_to_be_so() -> None:
    request = Request(model_name="m")
    tensor = request.inputs.add(name="x", datatype="FP32", shape=[1])
    tensor.parameters["shared_memory_region"].string_param = "r"
    with pytest.raises(Unsupported, match="shared memory"):
        oip_grpc.decode_request(request.SerializeToString())
    request = raw_request()
    request.outputs.add(name="y").parameters["shared_memory_region"].string_param = "r"
    with pytest.raises(Unsupported, match="shared_memory_region"):
        oip_grpc.decode_request(request.SerializeToString())


@given(st.binary(max_size=64))
def test_rubbish_is_a_sentence(message: bytes) -> None:
    read_or_refused(lambda: oip_grpc.decode_request(message).inputs)


@given(st.data())
def test_a_request_with_bytes_changed_is_a_call_or_a_sentence(data: st.DataObject) -> None:
    message = bytearray(raw_request().SerializeToString())
    for _ in range(data.draw(st.integers(1, 3))):
        message[data.draw(st.integers(0, len(message) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(message)))
    read_or_refused(lambda: oip_grpc.decode_request(bytes(message[:cut])).inputs)


def test_both_ways_of_reading_agree() -> None:
    request = raw_request()
    request.parameters["timeout"].int64_param = 5
    message = request.SerializeToString()
    quick, slow = oip_grpc.decode_request(message), oip_grpc._call_from(request)
    assert same(quick.inputs.pop("x"), slow.inputs.pop("x"))
    assert quick == slow


def test_stream_answers_wrap_what_unary_answers_are() -> None:
    answer = Answer("m", "1", {"y": np.ones(300, np.float32)}, "a")
    response = oip_grpc.encode_answer(answer, Call("m", {}))
    back = oip_grpc.decode_stream_answer(oip_grpc.streamed(response))
    assert isinstance(back, Answer)
    assert same(back.outputs["y"], answer.outputs["y"])
    assert oip_grpc.decode_stream_answer(oip_grpc.encode_stream_error("no\ud800", "a")) == "no?"
    final = Response.FromString(oip_grpc.encode_final(answer))
    assert final.parameters["triton_final_response"].bool_param
    assert not final.outputs


def test_our_messages_stay_out_of_everybody_elses_pool() -> None:
    with pytest.raises(KeyError):
        descriptor_pool.Default().FindMessageTypeByName("inference.ModelInferRequest")


def test_every_spoken_file_can_be_reflected() -> None:
    for version in ("v1", "v1alpha"):
        package = f"grpc.reflection.{version}"
        protocol = oip_grpc_pages._REFLECTIONS[version]
        ask = protocol.message(f"{package}.ServerReflectionRequest")
        answered = protocol.message(f"{package}.ServerReflectionResponse").FromString
        listed = answered(oip_grpc_pages.reflect(version, ask(list_services="*").SerializeToString()))
        names = {each.name for each in listed.list_services_response.service}
        assert {
            "inference.GRPCInferenceService",
            "grpc.health.v1.Health",
            f"{package}.ServerReflection",
        } <= names
        for name in (*names, "inference.ModelInferRequest", "inference.GRPCInferenceService.ModelInfer"):
            message = ask(file_containing_symbol=name).SerializeToString()
            found = answered(oip_grpc_pages.reflect(version, message))
            assert found.file_descriptor_response.file_descriptor_proto
        missing = ask(file_by_filename="nothing.proto").SerializeToString()
        assert answered(oip_grpc_pages.reflect(version, missing)).error_response.error_code == 5
        extension = ask(all_extension_numbers_of_type="x").SerializeToString()
        assert answered(oip_grpc_pages.reflect(version, extension)).error_response.error_code == 12


def test_a_proto_file_that_cannot_be_read_says_why() -> None:
    for text in ("option x;", "message M { Unknown x = 1; }", "message M { int32 x 1; }", "message M {"):
        with pytest.raises(ValueError, match=r"begins|no type|expected|too early"):
            read_proto("a.proto", f'syntax = "proto3"; package a; {text}')
