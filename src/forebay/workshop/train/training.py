"""The three steps in a row, in one process: what a notebook calls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from forebay.workshop.train.building import Trained, build
from forebay.workshop.train.choosing import choose
from forebay.workshop.train.preparing import prepare
from forebay.workshop.train.progress import Listener, Reporter, silence
from forebay.workshop.train.reading import read
from forebay.workshop.train.recipe import AUTO, Recipe


def train(
    data: Any,
    target: Any,
    *,
    task: str | None = None,
    estimator: str = AUTO,
    features: Sequence[str] | None = None,
    folds: int = 5,
    held_out: float = 0.2,
    seed: int = 0,
    time_budget_s: float | None = None,
    progress: Listener | None = None,
    name: str = "",
    format: str | None = None,  # noqa: A002 (the word people know)
) -> Trained:
    """Train a classifier or a regressor on a table, and convert it to what Forebay serves.

    *data* is the path of a CSV or Parquet file, a pandas or polars frame, or a matrix; *target*
    is the name of a column, or an array with one value a row. Numbers, texts, true and false are
    learnt from as they are, missing ones included; dates, row numbers and constants are left out
    with a sentence in the card. With `estimator="auto"` cross-validation over *folds* chooses; the
    share *held_out* of the rows is seen by nobody and gives the scores. The same data and *seed*
    give the same model. *progress* receives events. Raises `Malformed` with what to mend.
    """
    listener = progress or silence
    table = read(data, target, format=format)
    recipe = Recipe(
        table.target,
        task=task,
        estimator=estimator,
        features=None if features is None else tuple(features),
        folds=folds,
        held_out=held_out,
        seed=seed,
        time_budget_s=time_budget_s,
    )
    prepared = prepare(table, recipe, Reporter(listener, "prepare"))
    chosen = choose(prepared, recipe, Reporter(listener, "choose"))
    return build(prepared, chosen, recipe, Reporter(listener, "build"), name=name)
