"""The plain door: rows and records as people write them, and answers as people read them."""

from __future__ import annotations

import json
from collections import OrderedDict, UserList
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

from forebay.core import DataType, Signature, Tensors, TensorSpec
from forebay.core.errors import Broken, Malformed, NotFound, Unsupported
from forebay.serving.wire import Answer, rows

FP32, INT64, BYTES, BOOL = DataType.FP32, DataType.INT64, DataType.BYTES, DataType.BOOL
LABEL = TensorSpec("label", BYTES, (-1,))

MATRIX = Signature((TensorSpec("x", FP32, (-1, 3), ("length", "width", "height")),), (LABEL,))
UNNAMED = Signature((TensorSpec("x", FP32, (-1, 3)),), (LABEL,))
IMAGE = Signature((TensorSpec("x", FP32, (-1, 2, 2)),), (LABEL,))
TOKENS = Signature((TensorSpec("ids", INT64, (-1, -1)), TensorSpec("mask", INT64, (-1, -1))), (LABEL,))
TEXT = Signature((TensorSpec("text", BYTES, (-1, 1)),), (LABEL,))
MIXED = Signature(
    (
        TensorSpec("age", FP32, (-1, 1)),
        TensorSpec("city", BYTES, (-1, 1)),
        TensorSpec("rooms", INT64, (-1, 1), nan=False),
        TensorSpec("garden", BOOL, (-1,)),
        TensorSpec("name", BYTES, (-1, 1), nan=False),
        TensorSpec("price", FP32, (-1, 1), nan=False),
    ),
    (LABEL,),
)
RECORD = {"length": 1, "width": 2, "height": 3}
HOUSE = {"age": 3, "city": "Ulm", "rooms": 4, "garden": True, "name": "A", "price": 1.5}


def decode(body: Any, signature: Signature) -> Tensors:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    inputs = rows.decode_request(data, signature, "m", None).inputs
    assert signature.check(inputs) >= 1
    return inputs


def refused(body: Any, signature: Signature) -> str:
    with pytest.raises(Malformed) as caught:
        decode(body, signature)
    return str(caught.value)


@pytest.mark.parametrize(
    "body",
    [
        {"rows": [[1, 2, 3], [4, 5, 6.5]]},
        [[1, 2, 3], [4, 5, 6.5]],
        {"records": [{"length": 1, "width": 2, "height": 3}, {"height": 6.5, "width": 5, "length": 4}]},
        {"rows": [{"length": 1, "width": 2, "height": 3}, {"height": 6.5, "width": 5, "length": 4}]},
        [{"length": 1, "width": 2, "height": 3}, {"height": 6.5, "width": 5, "length": 4}],
    ],
)
def test_rows_and_records_mean_the_same(body: Any) -> None:
    x = decode(body, MATRIX)["x"]
    assert x.flags.c_contiguous
    assert x.tolist() == [[1, 2, 3], [4, 5, 6.5]]


@pytest.mark.parametrize("body", [[1, 2, 3], {"length": 1, "width": 2, "height": 3}])
def test_a_single_row_needs_no_list_around_it(body: Any) -> None:
    assert decode(body, MATRIX)["x"].tolist() == [[1, 2, 3]]


def test_a_matrix_without_column_names_takes_rows_and_its_own_name() -> None:
    assert decode([[1, 2, 3]], UNNAMED)["x"].tolist() == [[1, 2, 3]]
    assert decode([{"x": [1, 2, 3]}, {"x": [4, 5, 6]}], UNNAMED)["x"].shape == (2, 3)
    assert "takes 3: x[0], x[1], x[2]" in refused([[1, 2]], UNNAMED)


def test_images_come_nested_or_flat() -> None:
    for body in ([[[1, 2], [3, 4]]], [[1, 2, 3, 4]], [{"x": [[1, 2], [3, 4]]}], {"x": [[1, 2], [3, 4]]}):
        assert decode(body, IMAGE)["x"].tolist() == [[[1, 2], [3, 4]]]
    assert "input 'x' has the shape [1, 2, 2], which takes 4 values" in refused([[1, 2, 3]], IMAGE)


def test_inputs_of_any_length_take_lists() -> None:
    body = [{"ids": [1, 2, 3], "mask": [1, 1, 1]}, {"ids": [4, 5, 6], "mask": [1, 1, 0]}]
    for inputs in (decode(body, TOKENS), decode({"rows": [[r["ids"], r["mask"]] for r in body]}, TOKENS)):
        assert inputs["ids"].tolist() == [[1, 2, 3], [4, 5, 6]]
        assert inputs["mask"].tolist() == [[1, 1, 1], [1, 1, 0]]
    assert "ragged" in refused([{"ids": [1, 2], "mask": [1]}, {"ids": [1], "mask": [1]}], TOKENS)
    assert "takes 1 dimensions in each row, and 0 came" in refused([{"ids": 1, "mask": 1}], TOKENS)


@pytest.mark.parametrize("body", [["good", "bad"], {"rows": ["good", "bad"]}, [["good"], ["bad"]]])
def test_texts_may_stand_alone(body: Any) -> None:
    assert decode(body, TEXT)["text"].tolist() == [["good"], ["bad"]]
    assert decode({"text": "good"}, TEXT)["text"].tolist() == [["good"]]


def test_every_column_gets_its_datatype() -> None:
    inputs = decode([HOUSE, HOUSE | {"age": 4.5, "garden": False}], MIXED)
    assert inputs["age"].tolist() == [[3], [4.5]]
    assert inputs["city"].tolist() == [["Ulm"], ["Ulm"]]
    assert inputs["rooms"].tolist() == [[4], [4]]
    assert inputs["garden"].tolist() == [True, False]


def test_a_missing_value_is_nan_or_empty_where_the_model_takes_one() -> None:
    inputs = decode([HOUSE | {"age": None, "city": None}, HOUSE], MIXED)
    assert np.isnan(inputs["age"][0, 0])
    assert inputs["city"].tolist() == [[""], ["Ulm"]]
    assert np.isnan(decode([[1, None, 3]], MATRIX)["x"][0, 1])
    assert np.isnan(decode(b"[[1, NaN, 3]]", MATRIX)["x"][0, 1])


@pytest.mark.parametrize("column", ["rooms", "garden", "name", "price"])
def test_a_missing_value_that_the_model_cannot_take_is_refused(column: str) -> None:
    message = refused([HOUSE, HOUSE | {column: None}], MIXED)
    assert message == (
        f"column {column!r} is missing in row 1, and the model was not made for missing values there"
    )


def test_numbers_are_taken_as_people_write_them() -> None:
    inputs = decode([HOUSE | {"age": True, "rooms": 4.0, "garden": 1}], MIXED)
    assert (inputs["age"].tolist(), inputs["rooms"].tolist(), inputs["garden"].tolist()) == (
        [[1]],
        [[4]],
        [True],
    )
    assert decode([[True, False, 2]], MATRIX)["x"].tolist() == [[1, 0, 2]]


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("age", "3", "column 'age' takes a number, and row 1 has '3'"),
        ("age", [3], "column 'age' takes a number, and row 1 has a list"),
        ("age", 1e39, "column 'age' has a number beyond the range of FP32"),
        ("age", 10**400, "column 'age' has a number beyond the range of FP32"),
        ("rooms", 3.5, "column 'rooms' takes whole numbers, and row 1 has 3.5"),
        ("rooms", "3", "column 'rooms' takes a number, and row 1 has '3'"),
        ("rooms", 2**63, "column 'rooms' has a number beyond the range of INT64"),
        ("garden", "yes", "column 'garden' takes true or false, and row 1 has 'yes'"),
        ("garden", 2, "column 'garden' takes true or false, and row 1 has 2"),
        ("city", 7, "column 'city' takes text, and row 1 has 7"),
        ("city", {}, "column 'city' takes text, and row 1 has an object"),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused_by_column_and_row(column: str, value: Any, words: str) -> None:
    assert refused([HOUSE, HOUSE | {column: value}], MIXED) == words


def test_infinity_is_no_whole_number() -> None:
    body = json.dumps([HOUSE | {"rooms": float("inf")}]).encode()
    assert refused(body, MIXED) == "column 'rooms' takes whole numbers, and row 0 has inf"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ([[1, 2, 3], [4, 5]], "row 1 has 2 values, and the model takes 3: length, width, height"),
        ([[1, 2, 3, 4]], "row 0 has 4 values, and the model takes 3: length, width, height"),
        ([[1, 2, 3], 4], "row 1 is no list of values"),
        ([[1, 2, "3"]], "column 'height' takes a number, and row 0 has '3'"),
        (
            [{"length": 1, "widht": 2, "height": 3}],
            "column 'widht' that the model does not know; did you mean 'width'",
        ),
        (
            [{"length": 1, "zzz": 2, "height": 3}],
            "'zzz' that the model does not know; it has length, width, height",
        ),
        ([{"length": 1, "width": 2}], "row 0 has no column 'height'; send null"),
        (
            [{"length": 1, "width": 2, "height": 3}, {"length": 1, "width": 2, "Height": 3}],
            "row 1 has a column 'Height'",
        ),
        ([{"length": 1, "width": 2, "height": 3}, [1, 2, 3]], "row 1 is no record"),
        ([[1, 2, 3], {"length": 1, "width": 2, "height": 3}], "row 1 is no list of values"),
        ({"rows": [[1, 2, 3]], "records": []}, "stands alone"),
        ({"rows": [[1, 2, 3]], "id": 7}, "stands alone"),
        ({"rows": 7}, "'rows' is a list"),
        ({"records": {}}, "'records' is a list"),
        ({"rows": []}, "there is no row"),
        ([], "there is no row"),
        ({}, "row 0 has no column 'length'"),
        (7, "neither rows nor records"),
        (None, "neither rows nor records"),
        (b"{", "the body is no JSON"),
        (b"[[1,2," + b"[" * 5000, "nested too deeply"),
    ],
)
def test_what_is_no_table_is_refused_with_a_sentence(body: Any, words: str) -> None:
    assert words in refused(body, MATRIX)


def test_a_model_with_many_columns_does_not_list_them_all() -> None:
    wide = Signature((TensorSpec("x", FP32, (-1, 500)),), (LABEL,))
    assert "x[19] and 480 more" in refused([[1]], wide)


def test_a_model_that_has_no_rows_is_asked_at_the_other_door() -> None:
    fixed = Signature((TensorSpec("x", FP32, (3,)),), (LABEL,))
    assert "ask it at /v2/models/m/infer" in refused([[1, 2, 3]], fixed)


def test_bf16_columns_are_named_in_the_call() -> None:
    signature = Signature((TensorSpec("x", DataType.BF16, (-1, 2)),), (LABEL,))
    call = rows.decode_request(b"[[1, 2]]", signature, "m", None)
    assert (call.inputs["x"].tolist(), call.bf16) == ([[0x3F80, 0x4000]], ("x",))


CLASSIFIER = Signature(
    (TensorSpec("x", FP32, (-1, 3)),), (LABEL, TensorSpec("probabilities", FP32, (-1, 2), ('50%"b"', "ü")))
)


def test_an_answer_has_an_object_for_each_row() -> None:
    outputs = {
        "label": np.array(["a,b", b"\xc3\xbc"], dtype=object),
        "probabilities": np.array([[0.1, 0.9], [1, 1e-7]], np.float32),
    }
    body = rows.encode_answer(Answer("m", "12", outputs), CLASSIFIER)
    assert json.loads(body) == {
        "model": "m",
        "version": 12,
        "rows": [
            {"label": "a,b", "probabilities": {'50%"b"': 0.1, "ü": 0.9}},
            {"label": "ü", "probabilities": {'50%"b"': 1.0, "ü": 1e-7}},
        ],
    }
    answer = rows.decode_answer(body)
    assert (answer.model, answer.version, len(answer.rows)) == ("m", 12, 2)


@pytest.mark.parametrize(
    ("spec", "array", "shown"),
    [
        (TensorSpec("y", FP32, (-1, 1)), np.array([[1.5], [np.nan]], np.float32), [1.5, None]),
        (
            TensorSpec("y", FP32, (-1, 1), ("p",)),
            np.array([[1.5], [2]], np.float32),
            [{"p": 1.5}, {"p": 2.0}],
        ),
        (TensorSpec("y", FP32, (-1, 2)), np.array([[1, 2], [3, np.inf]], np.float32), [[1, 2], [3, None]]),
        (TensorSpec("y", INT64, (-1,)), np.array([1, -2]), [1, -2]),
        (TensorSpec("y", BOOL, (-1,)), np.array([True, False]), [True, False]),
        (TensorSpec("y", DataType.BF16, (-1,)), np.array([0x3F80, 0x4000], np.uint16), [1.0, 2.0]),
        (TensorSpec("y", DataType.UINT16, (-1,)), np.array([0x3F80, 0x4000], np.uint16), [0x3F80, 0x4000]),
        (
            TensorSpec("y", FP32, (-1, 2, 1)),
            np.array([[[1], [2]], [[3], [4]]], ">f4"),
            [[[1], [2]], [[3], [4]]],
        ),
        (TensorSpec("y", BYTES, (-1, 2)), np.array([["a", "b"], ["c", "d"]]), [["a", "b"], ["c", "d"]]),
        (TensorSpec("y", FP32, (-1, -1)), np.zeros((2, 0), np.float32), [[], []]),
    ],
)
def test_outputs_of_every_shape_can_be_read(spec: TensorSpec, array: Any, shown: list[Any]) -> None:
    signature = Signature((TensorSpec("x", FP32, (-1, 1)),), (spec,))
    body = rows.encode_answer(Answer("m", "v1", {"y": array}), signature)
    assert json.loads(body) == {"model": "m", "version": "v1", "rows": [{"y": value} for value in shown]}


def test_an_answer_without_rows_is_an_empty_list() -> None:
    outputs = {"label": np.array([], dtype=object), "probabilities": np.zeros((0, 2), np.float32)}
    assert json.loads(rows.encode_answer(Answer("m", None, outputs), CLASSIFIER))["rows"] == []


def test_a_model_that_does_not_batch_answers_one_row() -> None:
    signature = Signature(
        (TensorSpec("x", FP32, (2,)),), (TensorSpec("y", FP32, (2,)), TensorSpec("z", FP32, ()))
    )
    outputs = {"y": np.array([1, 2], np.float32), "z": np.array(3, np.float32)}
    assert json.loads(rows.encode_answer(Answer("m", "1", outputs), signature))["rows"] == [
        {"y": [1, 2], "z": 3}
    ]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"label": None}, "'label' is missing"),
        ({"label": np.zeros((1, 1))}, "'label' has the shape"),
        ({"probabilities": np.zeros((1, 3))}, "has 3 columns"),
        ({"probabilities": np.zeros((2, 2))}, "differ in their number of rows"),
    ],
)
def test_an_answer_that_breaks_the_signature_is_our_fault(change: dict[str, Any], words: str) -> None:
    outputs = {
        "label": np.array(["a"], dtype=object),
        "probabilities": np.zeros((1, 2), np.float32),
        **change,
    }
    with pytest.raises(Broken, match=words):
        rows.encode_answer(Answer("m", "1", outputs), CLASSIFIER)


def test_bytes_that_are_no_text_are_asked_for_elsewhere() -> None:
    outputs = {"label": np.array([b"\xff"], dtype=object), "probabilities": np.zeros((1, 2), np.float32)}
    with pytest.raises(Unsupported, match="/v2"):
        rows.encode_answer(Answer("m", "1", outputs), CLASSIFIER)


class Frame:
    """A table as pandas has it, for those who have not installed it."""

    columns = ("length", "width", "height")

    def to_dict(self, orient: str) -> list[dict[str, Any]]:
        assert orient == "records"
        return [{"length": np.float64(1), "width": np.int64(2), "height": NAType()}]


class PolarsFrame:
    def to_dicts(self) -> list[dict[str, Any]]:
        return [{"length": 1, "width": 2, "height": None}]


class NAType:
    pass


@pytest.mark.parametrize(
    "data",
    [
        [[1, 2, None]],
        [1, 2, float("nan")],
        ((1, 2, None),),
        {"length": 1, "width": 2, "height": None},
        [OrderedDict(length=1, width=2, height=None)],
        np.array([[1, 2, np.nan]]),
        np.array([[1, 2, np.nan]], dtype=">f4"),
        np.array([1, 2, np.nan], dtype=np.float16),
        np.array([[1, 2, None]], dtype=object),
        np.array([(1, 2, np.nan)], dtype=[("length", "f4"), ("width", "i4"), ("height", "f8")]),
        np.array([[9, 1, 9, 2, 9, np.nan]])[:, 1::2],
        [[np.float32(1), np.int8(2), None]],
        [MappingProxyType({"length": 1, "width": 2, "height": None})],
        [UserList([1, 2, None])],
        Frame(),
        PolarsFrame(),
    ],
)
def test_a_table_in_any_form_becomes_a_request(data: Any) -> None:
    x = decode(rows.encode_request(data), MATRIX)["x"]
    assert np.array_equal(x, np.array([[1, 2, np.nan]], np.float32), equal_nan=True)


def test_arrays_in_pieces_and_of_the_other_byte_order_are_written_too() -> None:
    pieces = [[np.array([9, 1, 9, 2], ">f8")[1::2], np.array([3, 4])]]
    assert rows.encode_request(pieces) == b'{"rows":[[[1.0,2.0],[3,4]]]}'


def test_texts_become_a_request() -> None:
    for data in (["good", "bad"], [["good"], ["bad"]], np.array(["good", "bad"])):
        body = rows.encode_request(data)
        assert decode(body, TEXT)["text"].ravel().tolist() == ["good", "bad"]


def test_what_cannot_be_written_as_json_is_refused_before_it_is_sent() -> None:
    with pytest.raises(Malformed, match=r"cannot be written as JSON: .*Decimal"):
        rows.encode_request([[Decimal(1)]])


def test_errors_have_a_code_and_a_message() -> None:
    body = rows.encode_error(NotFound("no model 'digit'; there is 'digits'"))
    assert json.loads(body) == {
        "error": {"code": "not-found", "message": "no model 'digit'; there is 'digits'"}
    }
    assert rows.decode_error(body) == ("not-found", "no model 'digit'; there is 'digits'")
    assert b"secret" not in rows.encode_error(KeyError("secret"))
    assert rows.decode_error(b"<html>") is None
    with pytest.raises(Malformed, match="no answer of a model"):
        rows.decode_answer(b"<html>")


def test_a_node_that_has_seen_many_models_still_reads_each_by_its_own_signature() -> None:
    for number in range(1100):
        signature = Signature(
            (TensorSpec(f"x{number}", FP32, (-1, 1)),), (TensorSpec(f"y{number}", FP32, (-1, 1)),)
        )
        inputs = decode([[number]], signature)
        assert inputs[f"x{number}"].tolist() == [[number]]
        body = rows.encode_answer(Answer("m", "1", {f"y{number}": inputs[f"x{number}"]}), signature)
        assert json.loads(body)["rows"] == [{f"y{number}": number}]
