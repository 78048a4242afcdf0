"""What people have becomes rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forebay.client.rows import Rows, rows_of
from forebay.core.errors import Malformed


def sent(data: object) -> Any:
    """What would go over the wire, all in one call."""
    body = next(rows_of(data).bodies(10**6))
    return orjson.loads(orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY))


@pytest.mark.parametrize(
    "data",
    [
        [[1, 2], [3, 4]],
        [(1, 2), (3, 4)],
        np.array([[1, 2], [3, 4]]),
        np.array([[1, 2], [3, 4]], dtype=np.float32),
        np.asfortranarray([[1, 2], [3, 4]]),
        [np.array([1, 2]), np.array([3, 4])],
    ],
)
def test_matrices_of_all_sorts_are_the_same_rows(data: object) -> None:
    assert sent(data) == {"rows": [[1, 2], [3, 4]]}


@pytest.mark.parametrize("data", [[1.5, 2], np.array([1.5, 2]), (1.5, 2)])
def test_a_single_row_needs_no_extra_brackets(data: object) -> None:
    assert sent(data) == {"rows": [[1.5, 2]]}


def test_a_frame_goes_as_records_and_what_is_missing_as_null() -> None:
    frame = pl.DataFrame({"age": [31, None], "city": ["Ulm", None]})
    assert sent(frame) == {"records": [{"age": 31, "city": "Ulm"}, {"age": None, "city": None}]}


def test_a_dict_of_columns_is_a_frame_too() -> None:
    assert sent({"a": [1, 2], "b": np.array(["x", "y"])}) == {
        "records": [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]
    }


def test_records_stay_records() -> None:
    assert sent([{"a": 1}, {"a": 2}]) == {"records": [{"a": 1}, {"a": 2}]}
    assert sent({"a": 1}) == {"records": [{"a": 1}]}


def test_nan_is_sent_as_null_because_json_has_no_nan() -> None:
    assert sent(np.array([[1.0, np.nan]])) == {"rows": [[1.0, None]]}
    assert sent([[1.0, float("nan")]]) == {"rows": [[1.0, None]]}


def test_texts_in_an_array_stay_texts() -> None:
    assert sent(np.array([["a", "b"]], dtype=object)) == {"rows": [["a", "b"]]}
    assert sent(np.array([["a", "b"]])) == {"rows": [["a", "b"]]}


@pytest.mark.parametrize(
    "data",
    [[], np.empty((0, 3)), 3, "text", None, [[1], {"a": 1}], {"a": [1], "b": [1, 2]}, {"a": [1], "b": 2}],
)
def test_what_is_no_rows_is_refused_with_what_to_pass(data: object) -> None:
    with pytest.raises(Malformed, match="rows"):
        rows_of(data)


@given(st.integers(1, 50), st.integers(1, 60))
def test_however_many_rows_a_call_may_have_all_go_once_and_in_order(rows: int, at_most: int) -> None:
    bodies = list(Rows("rows", [[i] for i in range(rows)]).bodies(at_most))
    assert [row[0] for body in bodies for row in body["rows"]] == list(range(rows))
    assert all(0 < len(body["rows"]) <= at_most for body in bodies)
