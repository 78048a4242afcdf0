"""Data as people have it: files, frames, matrices; and what is wrong with it is told."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forebay.core.errors import ForebayError, Malformed
from forebay.workshop.train import Recipe, Trained, train
from forebay.workshop.train.splitting import split

ROWS = 60


def table(**columns: Any) -> dict[str, Any]:
    return {
        "size": [float(n * 7 % 23) for n in range(ROWS)],
        "color": [("red", "green", "blue")[n % 3] for n in range(ROWS)],
        "kind": ["big" if n * 7 % 23 > 11 else "small" for n in range(ROWS)],
    } | columns


def quick(data: Any, target: Any = "kind", **more: Any) -> Trained:
    options: dict[str, Any] = {"estimator": "logistic-regression", "folds": 2}
    return train(data, target, **(options | more))


def columns_of(trained: Trained) -> list[str]:
    return [column["name"] for column in trained.lineage["data"]["columns"]]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_csv_file_is_read_whatever_separates_its_columns(tmp_path: Path, separator: str) -> None:
    path = tmp_path / "data.csv"
    pl.DataFrame(table()).write_csv(path, separator=separator)
    trained = quick(path)
    assert columns_of(trained) == ["size", "color"]
    assert trained.lineage["data"]["origin"] == "data.csv"


def test_a_parquet_file_and_frames_give_the_same_model(tmp_path: Path) -> None:
    pl.DataFrame(table()).write_parquet(tmp_path / "data.parquet")
    sources = [tmp_path / "data.parquet", pl.DataFrame(table()), pd.DataFrame(table())]
    assert len({quick(source).converted.files["model.onnx"] for source in sources}) == 1


def test_gaps_in_a_csv_file_may_be_written_in_many_ways(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    gaps = ["", "NA", "NaN", "null", "N/A"]
    lines = [f"{gaps[n % 5] if n % 6 == 0 else n},{'ab'[n % 2]},{'xy'[n > 30]}" for n in range(ROWS)]
    path.write_text("\n".join(["n,t,target", *lines]))
    trained = quick(path, "target")
    missing = {column["name"]: column["missing"] for column in trained.lineage["data"]["columns"]}
    assert missing == {"n": 10, "t": 0}


def test_a_column_that_turns_out_to_hold_texts_far_down_is_a_text_column(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    lines = [f"{n % 5 if n < 10_500 else 'many'},{n % 2}" for n in range(10_600)]
    path.write_text("\n".join(["n,target", *lines]))
    trained = quick(path, "target")
    assert trained.lineage["data"]["columns"][0]["kind"] == "text"


def test_a_matrix_is_served_as_one_tensor_without_made_up_names() -> None:
    matrix = np.arange(2 * ROWS, dtype=float).reshape(ROWS, 2) % 17
    trained = quick(matrix, matrix[:, 0] > 8)
    [x] = trained.converted.signature.inputs
    assert (x.name, x.shape, x.columns) == ("x", (-1, 2), ())
    assert trained.converted.signature.output("probabilities").columns == ("false", "true")


@pytest.mark.parametrize(
    ("target", "task"),
    [
        (["yes", "no"] * 30, "classification"),
        ([True, False] * 30, "classification"),
        ([1, 2, 3] * 20, "classification"),
        ([0.0, 1.0] * 30, "classification"),
        (list(range(60)), "regression"),
        ([n / 7 for n in range(60)], "regression"),
    ],
)
def test_the_task_is_seen_from_the_target(target: list[Any], task: str) -> None:
    estimator = "ridge" if task == "regression" else "logistic-regression"
    assert quick(pl.DataFrame(table(t=target)), "t", features=["size"], estimator=estimator).task == task


def test_columns_nobody_can_learn_from_are_left_out_with_a_reason() -> None:
    useless = table(
        id=[f"c-{n}" for n in range(ROWS)],
        row=list(range(1, ROWS + 1)),
        same=[1] * ROWS,
        empty=[None] * ROWS,
        when=[dt.date(2026, 1, 1) + dt.timedelta(days=n) for n in range(ROWS)],
        kind_copy=table()["kind"],
        parts=[[1, 2]] * ROWS,
    )
    trained = quick(pl.DataFrame(useless))
    assert columns_of(trained) == ["size", "color"]
    told = {line.split("'")[1]: line for line in trained.lineage["data"]["left_out"]}
    assert set(told) == {"id", "row", "same", "empty", "when", "kind_copy", "parts"}
    assert "holds dates" in told["when"]
    assert "repeats the target" in told["kind_copy"]
    assert "'when' holds dates or times" in trained.card


def test_what_to_mind_is_said_in_the_card() -> None:
    rare = ["rare" if n < 3 else "common" for n in range(ROWS)]
    sparse = [float(n % 7) if n % 4 == 0 else None for n in range(ROWS)]
    trained = quick(pl.DataFrame(table(kind=rare, sparse=sparse) | {"size": [1.0, 2.0] * 30}))
    assert "'sparse' is missing in 45 of 60 rows" in trained.card
    assert "only 3 of 60 rows are of the class 'rare'" in trained.card
    assert "are duplicates" in trained.card


def written(content: bytes) -> Any:
    def write(folder: Path) -> Path:
        (folder / "data.csv").write_bytes(content)
        return folder / "data.csv"

    return write


@pytest.mark.parametrize(
    ("data", "more", "told"),
    [
        (table(), {"target": "kinds"}, "there is no column 'kinds'; did you mean 'kind'"),
        (table(), {"target": "?"}, "there is no column '\\?'; there is 'size', 'color', 'kind'"),
        (table(), {"features": ["sise"]}, "there is no column 'sise'; did you mean 'size'"),
        (table(), {"features": ["kind"]}, "the target 'kind' is among the features"),
        (table(), {"task": "regression"}, "regression needs numbers"),
        (table(), {"task": "clusters"}, "there is no task 'clusters'; did you mean 'clustering'"),
        (table(), {"estimator": "ridge"}, "the estimator 'ridge' does no classification"),
        (table(), {"estimator": "logistic_regression"}, "did you mean 'logistic-regression'"),
        (table(), {"folds": 1}, "folds is 1; give 2 to 20"),
        (table(), {"held_out": 0.9}, "held_out is 0.9"),
        (table(), {"time_budget_s": 0.0}, "time_budget_s is 0"),
        (table(kind=[None, "a"] * 30), {}, "missing in 30 of 60 rows .first: row 0."),
        (table(kind=["a"] * 60), {}, "is a in every row"),
        (table(kind=["a"] * 58 + ["b"] * 2), {}, "the class b of 'kind' has only 2 row"),
        (table(kind=[1.5] * 60), {"estimator": "ridge", "task": "regression"}, "is the same in every row"),
        (table(kind=[float("inf"), 1.0] * 30), {"estimator": "ridge", "task": "regression"}, "infinite"),
        (table(kind=[None, 1.5] * 30), {"estimator": "ridge"}, "missing in 30"),
        (table(size=[1] * 60, color=["x"] * 60), {}, "no column is left to learn from: 'size' is the same"),
        (table(size=[float("inf")] * 60), {"features": ["size"]}, "the feature 'size' holds infinite values"),
        (table(label=["a", "b"] * 30), {}, "rename the column 'label'"),
        ({name: values[:4] for name, values in table().items()}, {}, "only 4 rows"),
        (written(b""), {}, "cannot be read as csv"),
        (written(b"a,b\n1,2,3\n4,5,6\n"), {}, "cannot be read as csv"),
        (written(b"\xff\xfe\x00,kind\n" * 20), {}, "'data.csv'|column"),
        (lambda folder: folder / "nowhere.csv", {}, "there is no file"),
        (lambda folder: folder, {}, "holds no pictures"),
        (lambda _: __file__, {}, "is neither CSV, Parquet nor JSON Lines"),
        (lambda _: __file__, {"target": [1]}, "the data is a file; name its target column"),
        (np.zeros((60, 2)), {}, "give its targets as an array"),
        (np.zeros((60, 2)), {"target": [1, 2]}, "there are 60 rows, but the target has the shape"),
        (np.zeros(60), {"target": [1] * 60}, "give rows and columns"),
    ],
)
def test_what_is_wrong_is_told_in_a_sentence(
    data: Any, more: dict[str, Any], told: str, tmp_path: Path
) -> None:
    if callable(data):
        data = data(tmp_path)
    elif isinstance(data, dict):
        data = pl.DataFrame(data)
    with pytest.raises(ForebayError, match=told):
        quick(data, **({"target": "kind"} | more))


def test_a_recipe_refuses_words_it_does_not_know() -> None:
    with pytest.raises(Malformed, match="did you mean 'random-forest'"):
        Recipe("y", estimator="randomforest")


@given(
    labels=st.lists(st.sampled_from("abc"), min_size=20, max_size=60).map(
        lambda some: some + list("aaabbbccc")
    ),
    held_out=st.floats(0.01, 0.5),
    seed=st.integers(0, 9),
)
def test_every_class_is_on_both_sides_of_the_split_and_no_row_on_two(
    labels: list[str], held_out: float, seed: int
) -> None:
    target = np.array(labels)
    train_rows, held_rows = split(target, held_out, seed, stratified=True)
    assert sorted([*train_rows, *held_rows]) == list(range(len(labels)))
    assert set(target[held_rows]) == set("abc")
    assert all((target[train_rows] == label).sum() >= 2 for label in "abc")
