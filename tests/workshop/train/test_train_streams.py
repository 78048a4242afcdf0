"""Vowpal Wabbit learns from every row of a file that memory does not hold."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from forebay.workshop.train import Chosen, Prepared, Recipe, Reporter, build, prepare, read, train
from forebay.workshop.train.choosing import Part
from forebay.workshop.train.sampling import Others

pytestmark = pytest.mark.slow
pytest.importorskip("vowpalwabbit")
SMALL = 1 << 24


def large(folder: Path, rows: int = 60_000) -> Path:
    values = np.random.default_rng(0).normal(size=(rows, 8)).round(5)
    frame = pl.DataFrame(values, schema=[f"x{place}" for place in range(8)])
    place = folder / "large.csv"
    frame.with_columns(y=pl.Series(np.where(values @ np.arange(8) > 0, "yes", "no"))).write_csv(place)
    return place


def test_every_row_of_a_large_file_is_learnt_or_held_out(tmp_path: Path) -> None:
    heard: list[Any] = []
    path = large(tmp_path)
    trained = train(path, "y", estimator="vowpal-wabbit", folds=2, memory_bytes=SMALL, progress=heard.append)
    data = trained.lineage["data"]
    assert data["rows_streamed"] + data["rows_train"] + data["rows_held_out"] == data["rows"] == 60_000
    assert data["rows_streamed"] > 10_000
    told = f"{data['rows_streamed']} of {data['rows_streamed']} rows were learnt in a stream"
    assert told in [event.get("text") for event in heard]
    assert "as they passed by" in trained.card
    assert trained.scores["accuracy"] > 0.93


def test_what_lies_on_disk_changes_the_answers_also_after_a_job_was_started_again(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(400, 3))
    frame = pl.DataFrame(rows, schema=["a", "b", "c"]).with_columns(y=pl.Series(rows.sum(axis=1)))
    frame.with_columns(pl.col("y") + 50).write_parquet(tmp_path / "others.parquet")
    recipe = Recipe("y", estimator="vowpal-wabbit", task="regression")
    report = Reporter(lambda _event: None, "build")
    alone = prepare(read(frame, "y"), recipe, report)
    replace(alone, others=Others(tmp_path / "others.parquet")).save(tmp_path / "kept")
    chosen = Chosen("vowpal-wabbit", "r2", 1, (), parts=(Part("vowpal-wabbit"),))
    both = build(Prepared.load(tmp_path / "kept"), chosen, recipe, report).model.predict(rows)
    assert both.mean() > build(alone, chosen, recipe, report).model.predict(rows).mean() + 5
