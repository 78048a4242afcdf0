"""Rows from files, as people keep them."""

from __future__ import annotations

import io
from pathlib import Path

import polars as pl
import pytest

from forebay.app.cli.rowfiles import csv_rows, json_rows, rows_in, text_columns
from forebay.core import DataType, Signature, TensorSpec
from forebay.core.errors import Malformed

RECORDS = [{"age": 31, "city": "Ulm"}, {"age": None, "city": None}]


def test_numbers_are_numbers_texts_are_texts_and_empty_cells_are_missing() -> None:
    assert csv_rows("age,city\n31,Ulm\n,\n", frozenset()).items == RECORDS


def test_a_column_with_one_word_among_numbers_holds_texts() -> None:
    assert csv_rows("a\n1\nx\n", frozenset()).items == [{"a": "1"}, {"a": "x"}]


def test_a_column_that_the_model_takes_as_text_keeps_its_zeros() -> None:
    assert csv_rows("zip\n01234\n", frozenset({"zip"})).items == [{"zip": "01234"}]


@pytest.mark.parametrize("text", ["", "a,b\n", "a,b\n1\n", "a,b\n1,2,3\n"])
def test_a_csv_that_is_not_a_table_is_refused_with_the_line(text: str) -> None:
    with pytest.raises(Malformed, match="CSV"):
        csv_rows(text, frozenset())


@pytest.mark.parametrize(
    "text",
    [
        '[{"a": 1}, {"a": 2}]',
        '{"records": [{"a": 1}, {"a": 2}]}',
        '{"a": 1}\n{"a": 2}\n',
        '{"a": [1, 2]}',
    ],
)
def test_json_of_all_sorts_gives_the_same_records(text: str) -> None:
    found = json_rows(text, "x")
    assert (found.word, found.items) == ("records", [{"a": 1}, {"a": 2}])


@pytest.mark.parametrize(
    "text",
    [
        "[[1, 2], [3, 4]]",
        '{"rows": [[1, 2], [3, 4]]}',
        "[1, 2]\n[3, 4]",
        '{"inputs": [{"name": "x", "datatype": "INT64", "shape": [2, 2], "data": [1, 2, 3, 4]}]}',
    ],
)
def test_json_of_all_sorts_gives_the_same_rows(text: str) -> None:
    found = json_rows(text, "x")
    assert (found.word, found.items) == ("rows", [[1, 2], [3, 4]])


def test_what_is_no_json_is_named() -> None:
    with pytest.raises(Malformed, match=r"rows\.json is no JSON"):
        json_rows("{", "rows.json")


def test_a_file_is_read_by_its_ending(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("age,city\n31,Ulm\n,\n")
    (tmp_path / "r.json").write_text('[{"age": 31, "city": "Ulm"}, {"age": null, "city": null}]')
    pl.DataFrame(RECORDS).write_parquet(tmp_path / "r.parquet")
    assert [rows_in(str(tmp_path / name)).items for name in ("r.csv", "r.json", "r.parquet")] == [RECORDS] * 3
    with pytest.raises(Malformed, match=r"r\.xlsx is no \.csv"):
        rows_in(str(tmp_path / "r.xlsx"))


@pytest.mark.parametrize(
    "text", ["age,city\n31,Ulm\n,\n", '[{"age": 31, "city": "Ulm"}, {"age": null, "city": null}]']
)
def test_standard_input_is_read_by_how_it_begins(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    assert rows_in("-").items == RECORDS


def test_which_columns_are_texts_is_the_signatures_word() -> None:
    inputs = (
        TensorSpec("age", DataType.FP32, (-1, 1)),
        TensorSpec("city", DataType.BYTES, (-1, 1)),
        TensorSpec("x", DataType.BYTES, (-1, 2), ("a", "b")),
    )
    assert text_columns(Signature(inputs, ())) == {"city", "x", "a", "b"}
