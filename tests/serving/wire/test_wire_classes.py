"""The best classes of an output, as Triton's clients ask for them."""

from __future__ import annotations

import json

import numpy as np
import pytest

from forebay.core import Array, DataType, Signature, TensorSpec
from forebay.core.errors import Malformed
from forebay.serving.wire import Call, oip, oip_grpc
from forebay.serving.wire.classes import in_classes


def signature(shape: tuple[int, ...], columns: tuple[str, ...] = ()) -> Signature:
    row = (TensorSpec("x", DataType.FP32, (shape[0], 1)),)
    return Signature(row, (TensorSpec("y", DataType.FP32, shape, columns),))


def best(array: Array, most: int, said: Signature, bf16: tuple[str, ...] = ()) -> list[list[str]]:
    found = in_classes({"y": array}, {"y": most}, said, bf16)["y"]
    rows = found if found.ndim == 2 else found[np.newaxis]
    return [[each.decode() for each in row] for row in rows.tolist()]


def test_each_row_names_its_best_classes_with_their_labels() -> None:
    scores = np.array([[0.25, 0.5, 0.125], [2, -1, 1]], np.float32)
    assert best(scores, 2, signature((-1, 3), ("cat", "dog", "owl"))) == [
        ["0.500000:1:dog", "0.250000:0:cat"],
        ["2.000000:0:cat", "1.000000:2:owl"],
    ]


def test_there_are_no_more_classes_than_scores_and_no_labels_where_nobody_named_them() -> None:
    assert best(np.array([[1, 3]], np.float32), 9, signature((-1, 2))) == [["3.000000:1", "1.000000:0"]]


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.uint64])
def test_whole_numbers_stay_whole_and_in_order(dtype: type[np.generic]) -> None:
    largest = np.iinfo(dtype).max  # type: ignore[type-var]  # the test names integers
    numbers = np.array([[0, largest, largest - 1]], dtype)
    assert best(numbers, 3, signature((-1, 3))) == [[f"{largest}:1", f"{largest - 1}:2", "0:0"]]


def test_equals_come_in_the_order_of_their_index_and_what_is_no_number_last() -> None:
    scores = np.array([[np.nan, 1, 1, np.inf]], np.float64)
    assert best(scores, 4, signature((-1, 4))) == [["inf:3", "1.000000:1", "1.000000:2", "nan:0"]]


def test_bf16_is_read_as_the_number_that_it_is() -> None:
    assert best(np.array([[0x3F80, 0xC000]], np.uint16), 1, signature((-1, 2)), ("y",)) == [["1.000000:0"]]


def test_a_model_without_a_batch_gives_one_list() -> None:
    found = in_classes({"y": np.array([1, 2], np.float32)}, {"y": 1}, signature((2,)), ())
    assert found["y"].tolist() == [b"2.000000:1"]


def test_no_rows_have_no_classes() -> None:
    assert (
        in_classes({"y": np.zeros((0, 3), np.float32)}, {"y": 2}, signature((-1, 3)), ())["y"].shape[0] == 0
    )


def test_words_have_no_best_and_nobody_asks_for_millions() -> None:
    with pytest.raises(Malformed, match="no numbers to classify by"):
        best(np.array([[b"a"]], np.object_), 1, signature((-1, 1)))
    with pytest.raises(Malformed, match="too many"):
        best(np.zeros((1000, 1000), np.float32), 1000, signature((-1, 1000)))


def test_a_request_says_of_which_outputs_it_wants_classes() -> None:
    wanted = [
        {"name": "y", "parameters": {"classification": 2}},
        {"name": "z", "parameters": {"classification": 0}},
    ]
    body = {"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [1]}], "outputs": wanted}
    assert oip.decode_request(json.dumps(body).encode(), None, "m", None).classes == {"y": 2}


@pytest.mark.parametrize("said", [-1, "two", 1.5, True])
def test_a_number_of_classes_is_a_number(said: object) -> None:
    wanted = [{"name": "y", "parameters": {"classification": said}}]
    body = {"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [1]}], "outputs": wanted}
    with pytest.raises(Malformed, match="no number of classes"):
        oip.decode_request(json.dumps(body).encode(), None, "m", None)


def test_a_familiar_message_wants_its_classes_again_over_grpc() -> None:
    request = oip_grpc.PROTOCOL.message("inference.ModelInferRequest").FromString(
        oip_grpc.encode_request(Call("m", {"x": np.ones((1, 2), np.float32)}))
    )
    request.outputs.add(name="y").parameters["classification"].int64_param = 3
    message = request.SerializeToString()
    assert [oip_grpc.decode_request(message).classes for _ in "12"] == [{"y": 3}] * 2
