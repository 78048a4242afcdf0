"""Which columns a model needs: how much worse it gets when one is shuffled (Breiman, 2001)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from forebay.core import Array
from forebay.workshop.train.features import some

_ROWS = 500
_MOST_COLUMNS = 60
_MOST_TIMES = 3
_MOST_ASKED = 20_000
_ASKED_AT_ONCE = 10_000


def importances(
    answers: Callable[[Any], Array],
    rows: Any,
    names: list[str],
    worth: Callable[[Array, Array], float],
    seed: int,
) -> dict[str, float]:
    """By how much *worth* falls when a column's values are given to other rows, the most important first.

    *worth* is told answers and the places of the rows they belong to. Few columns are shuffled
    thrice each. Nothing is measured where there are more than sixty: it would take longer than the fit.
    """
    if len(names) > _MOST_COLUMNS:
        return {}
    draw = np.random.default_rng(seed)
    count = len(rows)
    places = np.arange(count) if count <= _ROWS else np.sort(draw.choice(count, _ROWS, replace=False))
    shown = some(rows, places)
    whole = worth(answers(shown), places)
    times = int(np.clip(_MOST_ASKED // (len(places) * len(names)), 1, _MOST_TIMES))
    changed = [
        _shuffled(shown, place, draw.permutation(len(places)))
        for place in range(len(names))
        for _ in range(times)
    ]
    told = _answered(answers, changed)
    falls = np.array([whole - worth(one, places) for one in told]).reshape(len(names), times).mean(axis=1)
    found = dict(zip(names, falls.tolist(), strict=True))
    return dict(sorted(found.items(), key=lambda pair: -pair[1]))


def _answered(answers: Callable[[Any], Array], tables: list[Any]) -> list[Array]:
    """The answers to each of *tables*, many at once: a forest needs as long for a call as for 10,000 rows."""
    rows = len(tables[0])
    together = max(1, _ASKED_AT_ONCE // rows)
    parts = [tables[first : first + together] for first in range(0, len(tables), together)]
    told = np.concatenate([answers(_stacked(part)) for part in parts])
    return [told[first : first + rows] for first in range(0, len(told), rows)]


def _stacked(tables: list[Any]) -> Any:
    if isinstance(tables[0], np.ndarray):
        return np.concatenate(tables)
    import polars as pl  # noqa: PLC0415 (heavy)

    return pl.concat(tables)


def _shuffled(rows: Any, place: int, order: Array) -> Any:
    if isinstance(rows, np.ndarray):
        changed = rows.copy()
        changed[:, place] = rows[order, place]
        return changed
    return rows.with_columns(rows.to_series(place).gather(order.tolist()))
