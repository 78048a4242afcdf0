"""Rows made to hurt: zeros, the smallest and the largest, missing values, words never seen before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from forebay.core import Array
from forebay.workshop.convert.sample import columns_of, is_missing, like

MISSING = "missing number"
_ROWS = 32
_UNSEEN = "forebay: never seen"


@dataclass(frozen=True, slots=True)
class Edge:
    """Such rows: what they are, the column they are about (None for all), and the rows as a table."""

    what: str
    column: str | None
    table: Any


def edges_of(table: Any, *, one_by_one: bool) -> list[Edge]:
    """The edge rows that *table* suggests; *one_by_one* tries NaN in each column for itself.

    Whether the source takes them is another question.
    """
    columns = columns_of(table)
    found = [
        Edge(what, None, like(table, {name: change(values) for name, values in columns.items()}))
        for what, change in _EVERYWHERE.items()
    ]
    floats = [name for name, values in columns.items() if values.dtype.kind == "f"]
    few = {name: values[:_ROWS] for name, values in columns.items()}
    if not one_by_one and floats:
        found.append(Edge(MISSING, None, like(table, _riddled(few, floats))))
    else:
        found += [Edge(MISSING, name, like(table, few | _all(np.nan, name, few))) for name in floats]
    return found + _strange_texts(table, {name: values[:1] for name, values in columns.items()})


def _riddled(columns: dict[str, Array], floats: list[str]) -> dict[str, Array]:
    """A third of the cells missing, drawn at random but always the same, and everything in one row."""
    draw = np.random.default_rng(0)
    riddled = {name: values.copy() for name, values in columns.items()}
    for name in floats:
        gone = draw.random(len(riddled[name])) < 1 / 3
        gone[0] = True
        riddled[name][gone] = np.nan
    return riddled


def _strange_texts(table: Any, row: dict[str, Array]) -> list[Edge]:
    nothings = (None,) if hasattr(table, "schema") else (None, np.nan)  # polars knows one word for it
    found = []
    for name, values in columns_of(table).items():
        if values.dtype.kind not in "OUT" or not any(isinstance(value, str) for value in values):
            continue
        found += [Edge("missing text", name, like(table, row | _all(none, name, row))) for none in nothings]
        found.append(Edge("unseen text", name, like(table, row | _all(_UNSEEN, name, row))))
    return found


def _all(value: Any, name: str, columns: dict[str, Array]) -> dict[str, Array]:
    old = columns[name]
    return {name: np.full(old.shape, value, dtype=old.dtype if old.dtype.kind == "f" else object)}


def _numbers(pick: Callable[[Array], Any]) -> Callable[[Array], Array]:
    def change(values: Array) -> Array:
        present = values[~is_missing(values)]
        if values.dtype.kind not in "fiu" or not present.size:
            return present[:1] if present.size else values[:1]
        return np.array([pick(present)]).astype(values.dtype)

    return change


def _beyond(values: Array) -> Any:
    low, high = float(values.min()), float(values.max())
    return high + (high - low)


_EVERYWHERE: dict[str, Callable[[Array], Array]] = {
    "zeros": _numbers(lambda values: values.dtype.type(0)),
    "the smallest of each column": _numbers(lambda values: values.min()),
    "the largest of each column": _numbers(lambda values: values.max()),
    "beyond the largest": _numbers(_beyond),
}
