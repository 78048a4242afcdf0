"""Training data on its way to the hub."""

from __future__ import annotations

import tarfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forebay.client.datasets import name_for, table_of
from forebay.core import checked_name
from forebay.core.errors import Malformed


def test_a_file_is_sent_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "Iris.CSV"
    with table_of(path, "species") as table:
        assert table == (path, "csv", "species")


def test_a_polars_frame_is_sent_as_parquet() -> None:
    frame = pl.DataFrame({"a": [1.5, None], "b": ["x", "y"]})
    with table_of(frame, "b") as table:
        assert table.format == "parquet"
        assert pl.read_parquet(table.path).equals(frame)


def test_arrays_are_sent_with_names_for_their_columns() -> None:
    with table_of(np.array([[0.1, 2.0], [3.0, 4.0]]), np.array(["no", "yes"])) as table:
        found = pl.read_csv(table.path)
    assert found.columns == ["x0", "x1", "target"]
    assert found.rows() == [(0.1, 2.0, "no"), (3.0, 4.0, "yes")]


def test_nothing_is_left_behind() -> None:
    with table_of(pl.DataFrame({"a": [1]}), "a") as table:
        pass
    assert not table.path.exists()


def test_several_labels_pictures_and_no_target_at_all_are_written_down(tmp_path: Path) -> None:
    with table_of(np.zeros((3, 2)), np.array([[0, 1], [1, 1], [0, 0]])) as table:
        assert table.target == "label0,label1"
        assert table.path.read_text().splitlines()[:2] == ["x0,x1,label0,label1", "0.0,0.0,0,1"]
    with table_of(pl.DataFrame({"a": [1], "b": [0]}), ["a", "b"]) as table:
        assert table.target == "a,b"
    with table_of(np.zeros((3, 2)), None) as table:
        assert (table.target, table.path.read_text().splitlines()[0]) == ("", "x0,x1")
    for name in ("cat/1.png", "dog/1.png", "dog/notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"pixels")
    with table_of(tmp_path, None) as table, tarfile.open(table.path) as archive:
        assert (table.format, table.target) == ("images", "class")
        assert archive.getnames() == ["cat/1.png", "dog/1.png"]


@pytest.mark.parametrize(
    ("data", "target", "match"),
    [
        ("iris.xlsx", "species", "neither .csv, .parquet nor .jsonl"),
        ("iris.csv", "", "target is the name of the column"),
        (pl.DataFrame({"a": [1]}), [1], "target is the name of the column"),
        (np.zeros((3, 2)), np.zeros(2), "arrays need the shapes"),
        (np.zeros(3), np.zeros(3), "arrays need the shapes"),
        (np.zeros((3, 2)), "price", "target='COLUMN'"),
    ],
)
def test_what_cannot_be_trained_on_is_refused_before_the_upload(
    data: object, target: object, match: str
) -> None:
    with pytest.raises(Malformed, match=match), table_of(data, target):
        pass


@given(st.text(max_size=90))
def test_a_file_name_gives_a_valid_model_name_or_says_that_it_gives_none(stem: str) -> None:
    path = Path(f"{stem.replace('/', '_')}.csv")
    with suppress(Malformed):
        assert checked_name(name_for(path))


def test_a_file_name_without_a_letter_asks_for_a_name() -> None:
    with pytest.raises(Malformed, match="--name"):
        name_for(Path("数据.csv"))
