"""Which columns a model needs: how much worse it gets when one is shuffled (Breiman, 2001)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from forebay.core import Array
from forebay.workshop.train.features import some

_ROWS = 500
_MOST_COLUMNS = 60
_TIMES = 3


def importances(
    answers: Callable[[Any], Array],
    rows: Any,
    names: list[str],
    worth: Callable[[Array, Array], float],
    seed: int,
) -> dict[str, float]:
    """By how much *worth* falls when a column's values are given to other rows, the most important first.

    *worth* is told answers and the places of the rows they belong to. Nothing is measured where there
    are more than sixty columns: it would take longer than the fit.
    """
    if len(names) > _MOST_COLUMNS:
        return {}
    draw = np.random.default_rng(seed)
    count = len(rows)
    places = np.arange(count) if count <= _ROWS else np.sort(draw.choice(count, _ROWS, replace=False))
    shown = some(rows, places)
    whole = worth(answers(shown), places)
    found = dict[str, float]()
    for place, name in enumerate(names):
        orders = [draw.permutation(len(places)) for _ in range(_TIMES)]
        falls = [whole - worth(answers(_shuffled(shown, place, order)), places) for order in orders]
        found[name] = float(np.mean(falls))
    return dict(sorted(found.items(), key=lambda pair: -pair[1]))


def _shuffled(rows: Any, place: int, order: Array) -> Any:
    if isinstance(rows, np.ndarray):
        changed = rows.copy()
        changed[:, place] = rows[order, place]
        return changed
    return rows.with_columns(rows.to_series(place).gather(order.tolist()))
