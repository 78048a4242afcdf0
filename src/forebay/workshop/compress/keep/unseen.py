"""What no row has shown yet: draws of what was seen lose nothing where nothing was lost."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from forebay.core import Array
from forebay.workshop.compress.keep.sight import Answers, Sight

FEW = 10
"""So many rows that differ show how much they differ; fewer do not."""


def spoiled(sight: Sight, draw: np.random.Generator) -> Sight:
    """*sight* with a few rows answered as if they were others: 1 + floor(E) of them, E exponential of mean 1.

    Where c of n rows were lost, the true share is at most that of Clopper and Pearson (1934), the quantile of
    a gamma distribution of c + 1 over n: one row more than were seen, each weighed by an exponential, as in
    the Bayesian bootstrap (Rubin 1981). Draws of the bootstrap bring the c rows, this brings the one: with
    none lost that is at most four rows in 97.5 of 100 draws, the rule of three for intervals of two sides.
    """
    intact = _intact(sight)
    count = min(len(intact), 1 + math.floor(draw.exponential()))
    places = draw.choice(intact, count, replace=False)
    others = [_another(sight, place, draw) for place in places]
    return replace(sight, said=_swapped(sight.said, places, np.array(others, dtype=np.int64)))


def differing(sight: Sight) -> int:
    """How many rows are answered otherwise than by the original."""
    said, reference = sight.said, sight.reference
    if said.values is not None and reference.values is not None:
        return int(np.sum(np.any(said.values != reference.values, axis=tuple(range(1, said.values.ndim)))))
    if said.labels is not None and reference.labels is not None:
        return int(np.sum(said.labels != reference.labels))
    return len(sight)


def _intact(sight: Sight) -> Array:
    """The rows that can be lost: those that are right, or all where nobody knows."""
    if sight.truth is None or sight.said.labels is None:
        return np.arange(len(sight))
    return np.flatnonzero(sight.said.labels == sight.truth)


def _another(sight: Sight, place: int, draw: np.random.Generator) -> int:
    """A row whose answer would be wrong here, if there is one."""
    labels = sight.said.labels
    rows = np.arange(len(sight)) if labels is None else np.flatnonzero(labels != labels[place])
    return int(draw.choice(rows)) if len(rows) else place


def _swapped(said: Answers, places: Array, others: Array) -> Answers:
    def swap(values: Array | None) -> Array | None:
        if values is None:
            return None
        swapped = values.copy()
        swapped[places] = values[others]
        return swapped

    return replace(said, labels=swap(said.labels), scores=swap(said.scores), values=swap(said.values))
