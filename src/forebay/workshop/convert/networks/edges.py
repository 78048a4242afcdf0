"""Rows made to hurt a network: few of them, zeros, extremes, missing numbers, other lengths."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from forebay.core import Array, Tensors
from forebay.workshop.convert.edges import MISSING, Edge
from forebay.workshop.convert.networks.rows import repeated, stretched

LONG = 64


def edges_of_rows(rows: Tensors, varying: Mapping[str, Sequence[int]], longest: int) -> list[Edge]:
    """What *rows* suggest; *varying* axes are asked at length 1 and at *longest*."""
    found = [Edge("one row alone", None, repeated(rows, 1)), Edge("three rows", None, repeated(rows, 3))]
    found += [
        Edge(
            what, None, {name: change(values) if _free(name) else values[:1] for name, values in rows.items()}
        )
        for what, change in _EVERYWHERE.items()
    ]
    found += [
        Edge(MISSING, name, repeated(rows, 1) | {name: np.full_like(values[:1], np.nan)})
        for name, values in rows.items()
        if values.dtype.kind == "f"
    ]
    if varying:
        few = repeated(rows, 3)
        found += [
            Edge("length 1", None, stretched(few, varying, 1)),
            Edge(f"length {longest}", None, stretched(few, varying, longest)),
        ]
    return found


def _free(name: str) -> bool:
    """Whether it may hold anything: a mask of zeros hides all there is, and then every answer is right."""
    return "mask" not in name


def _extreme(pick: Callable[[Array], Array]) -> Callable[[Array], Array]:
    return lambda values: pick(values)[np.newaxis].astype(values.dtype)


def _beyond(values: Array) -> Array:
    """Twice the range for measured numbers; what counts or chooses may have no more values."""
    high = values.max(axis=0)
    measured = values.dtype.kind == "f" and bool((values != np.floor(values)).any())
    return np.asarray(high + (high - values.min(axis=0)) if measured else high)


_EVERYWHERE: dict[str, Callable[[Array], Array]] = {
    "zeros": _extreme(lambda values: np.zeros_like(values[0])),
    "the smallest of each column": _extreme(lambda values: values.min(axis=0)),
    "the largest of each column": _extreme(lambda values: values.max(axis=0)),
    "beyond the largest": _extreme(_beyond),
}
