"""A table becomes the rows that a version takes, by the columns' names, or says why not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from forebay.core import ArtifactInfo, DataType, Signature, TensorSpec
from forebay.core.errors import Malformed
from forebay.workshop.compress import rows_of_table

LABEL = TensorSpec("label", DataType.BYTES, (-1,))
NUMBER = TensorSpec("value", DataType.FP32, (-1, 1))


def takes(*inputs: TensorSpec, task: str = "classification") -> ArtifactInfo:
    return ArtifactInfo(Signature(inputs, (LABEL if task == "classification" else NUMBER,)), task=task)


def texts(*values: Any) -> Any:
    return np.array(values, dtype=object)


FLAT = takes(
    TensorSpec("rooms", DataType.FP32, (-1, 1)),
    TensorSpec("floor", DataType.INT64, (-1, 1)),
    TensorSpec("town", DataType.BYTES, (-1, 1)),
)
TABLE = {
    "price": texts("low", "high", "low"),
    "town": texts("Ulm", None, "Bonn"),
    "owner": texts("a", "b", "c"),
    "floor": np.array([1, 2, 3]),
    "rooms": np.array([1.5, np.nan, 3.0]),
}


def test_columns_are_found_by_name_and_gaps_are_what_a_node_makes_of_them() -> None:
    rows = rows_of_table(FLAT, TABLE, target="price", slices=["town"])
    np.testing.assert_array_equal(rows.inputs["rooms"], np.array([[1.5], [np.nan], [3]], np.float32))
    assert rows.inputs["floor"].dtype == np.int64
    assert rows.inputs["town"].ravel().tolist() == ["Ulm", "", "Bonn"]
    assert rows.truth is not None
    assert rows.truth.tolist() == ["low", "high", "low"]
    assert rows.slices["town"].tolist() == ["Ulm", "", "Bonn"]


def test_a_matrix_with_named_columns_takes_them_in_its_own_order() -> None:
    info = takes(TensorSpec("x", DataType.FP32, (-1, 2), ("b", "a")))
    rows = rows_of_table(info, {"a": np.array([1, 2]), "b": np.array([3, 4]), "c": np.array([0, 0])})
    np.testing.assert_array_equal(rows.inputs["x"], np.array([[3, 1], [4, 2]], np.float32))
    assert rows.truth is None


def test_without_names_columns_go_in_their_order_and_pictures_get_their_shape() -> None:
    pixels = {f"p{place}": np.array([place, place + 4]) for place in range(4)}
    info = takes(TensorSpec("x", DataType.UINT8, (-1, 2, 2, 1)))
    rows = rows_of_table(info, pixels | {"class": texts("a", "b")}, target="class")
    assert rows.inputs["x"].shape == (2, 2, 2, 1)
    assert rows.inputs["x"][1].ravel().tolist() == [4, 5, 6, 7]
    sliced = rows_of_table(info, pixels | {"who": texts("a", "b")}, slices=["who"])
    assert sliced.inputs["x"].shape == (2, 2, 2, 1)
    with pytest.raises(Malformed, match="takes 4 columns, and the data has 5 besides the target"):
        rows_of_table(info, pixels | {"who": texts("a", "b")})


def test_what_was_an_array_fits_a_model_whose_columns_have_names() -> None:
    info = takes(TensorSpec("x", DataType.FP32, (-1, 2), ("length", "width")))
    rows = rows_of_table(
        info, {"x0": np.array([1.0]), "x1": np.array([2.0]), "target": texts("a")}, target="target"
    )
    assert rows.inputs["x"].tolist() == [[1.0, 2.0]]


def test_a_column_of_lists_is_an_input_of_several_numbers() -> None:
    info = takes(TensorSpec("ids", DataType.INT64, (-1, -1)), TensorSpec("mask", DataType.INT64, (-1, -1)))
    lists = texts(np.array([1, 2, 3]), np.array([4, 5, 6]))
    rows = rows_of_table(info, {"ids": lists, "mask": lists})
    assert rows.inputs["ids"].tolist() == [[1, 2, 3], [4, 5, 6]]
    with pytest.raises(Malformed, match="not of one length; pad them"):
        rows_of_table(info, {"ids": texts(np.array([1]), np.array([1, 2])), "mask": lists})


def test_numbers_are_told_from_labels() -> None:
    info = takes(TensorSpec("x", DataType.FP32, (-1, 1)), task="regression")
    rows = rows_of_table(info, {"x": np.array([1.0, 2.0]), "y": np.array([3, 4])}, target="y")
    assert rows.truth is not None
    assert rows.truth.dtype == np.float64
    flags = rows_of_table(
        takes(*info.signature.inputs), {"x": np.zeros(2), "y": np.array([True, False])}, target="y"
    )
    assert flags.truth is not None
    assert flags.truth.tolist() == ["true", "false"]


@pytest.mark.parametrize(
    ("change", "target", "told"),
    [
        ({}, "prize", "the data has no column 'prize'; did you mean 'price'?"),
        ({"rooms": None}, "price", "the data has no column 'rooms', which the model takes"),
        ({"rooms": texts("two", "3", "4")}, "price", "takes FP32 in 'rooms', and the data has other values"),
        ({"floor": np.array([1, np.nan, 3])}, "price", "takes INT64 in 'floor', and the data has gaps"),
        ({"price": texts("a", None, "b")}, "price", r"missing in 1 of 3 rows \(first: row 1\)"),
    ],
)
def test_what_does_not_fit_is_named(change: dict[str, Any], target: str, told: str) -> None:
    table = {name: values for name, values in (TABLE | change).items() if values is not None}
    with pytest.raises(Malformed, match=told):
        rows_of_table(FLAT, table, target=target)
