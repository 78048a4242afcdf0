"""The three steps in a row, in one process: what a notebook calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict, Unpack

import msgspec

from forebay.core.errors import Malformed
from forebay.workshop.train.building import Trained
from forebay.workshop.train.preparing import prepare
from forebay.workshop.train.progress import Listener, Reporter, silence
from forebay.workshop.train.reading import read
from forebay.workshop.train.recipe import STREAMED, Recipe
from forebay.workshop.train.steps import build, choose


class Wishes(TypedDict, total=False):
    """What may be said about a training; each word is a field of `Recipe`, which explains it."""

    task: str | None
    estimator: str
    features: Sequence[str] | None
    folds: int
    held_out: float
    seed: int
    time_budget_s: float | None
    metric: str | None
    objectives: Sequence[str]
    split: str | None
    by: str | None
    class_weights: bool
    calibrate: bool
    parameters: Mapping[str, str | int | float | bool]
    quantiles: Sequence[float]
    horizon: int
    lags: int | None
    memory_bytes: int


def train(
    data: Any,
    target: Any = None,
    *,
    progress: Listener | None = None,
    name: str = "",
    format: str | None = None,  # noqa: A002 (the word people know)
    checkpoint: Path | str | None = None,
    **wishes: Unpack[Wishes],
) -> Trained:
    """Train a model on a table or on pictures, and convert it to what Forebay serves.

    *data* is the path of a CSV, Parquet or JSON Lines file, of a folder of pictures (a folder for each
    class), a pandas or polars frame, or a matrix; *target* is the name of a column (of several, for
    labels that may come together), or an array with one value a row. Numbers, texts, true and false are
    learnt from as they are, missing ones included; dates, row numbers and constants are left out
    with a sentence in the card. With `estimator="auto"` cross-validation over `folds` chooses, and
    within `time_budget_s` a search tries other parameters; the share `held_out` of the rows is seen by
    nobody and gives the scores. The same data and `seed` give the same model, unless a clock ends the
    search. With *checkpoint*, a folder, a search that was killed goes on where it was. *progress*
    receives events. Raises `Malformed` with what to mend.
    """
    listener = progress or silence
    memory_bytes, seed = wishes.get("memory_bytes", 1 << 30), wishes.get("seed", 0)
    streamed = wishes.get("estimator") in STREAMED
    table = read(data, target, format=format, memory_bytes=memory_bytes, seed=seed, streamed=streamed)
    recipe = recipe_of({"target": table.target, **wishes})
    prepared = prepare(table, recipe, Reporter(listener, "prepare"))
    place = None if checkpoint is None else Path(checkpoint)
    chosen = choose(prepared, recipe, Reporter(listener, "choose"), place)
    return build(prepared, chosen, recipe, Reporter(listener, "build"), name=name)


def recipe_of(wishes: Mapping[str, Any]) -> Recipe:
    """A checked recipe; raises `Malformed`."""
    try:
        return msgspec.convert(dict(wishes), Recipe)
    except msgspec.ValidationError as error:
        raise Malformed(f"this cannot be asked for: {error}") from error
