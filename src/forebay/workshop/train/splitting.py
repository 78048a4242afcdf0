"""Rows that the model learns from, and rows that it never sees."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from forebay.core import Array
from forebay.core.errors import Malformed

_LEAST_FOLDED = 1_000_000
"""With so many values to learn from, one split tells as much as five folds do."""


def split(target: Array, held_out: float, seed: int, *, stratified: bool) -> tuple[Array, Array]:
    """Row numbers to train on and to hold out, each ascending.

    Stratified, every class gives its share, at least one row and never more than leaves two.
    """
    draw = np.random.default_rng(seed)
    groups = (
        [np.flatnonzero(target == label) for label in np.unique(target)]
        if stratified
        else [np.arange(len(target))]
    )
    held = []
    for group in groups:
        count = min(max(1, round(len(group) * held_out)), len(group) - 2)
        held.append(draw.permutation(group)[:count])
    out = np.sort(np.concatenate(held))
    return np.setdiff1d(np.arange(len(target)), out), out


def split_by_time(when: Array, held_out: float) -> tuple[Array, Array]:
    """The rows before a moment, in the order of time, and those from it on: nobody learns from the future."""
    order = np.argsort(when, kind="stable")
    count = min(max(1, round(len(order) * held_out)), len(order) - 2)
    first = when[order[len(order) - count]]
    late = when[order] >= first
    if late.all():
        raise Malformed("all rows are of the same time; split another way")
    return order[~late], order[late]


def split_by_group(groups: Array, held_out: float, seed: int) -> tuple[Array, Array]:
    """Whole groups on either side, about the share *held_out* of the rows on the second."""
    names, counts = np.unique(groups, return_counts=True)
    if len(names) < 3:
        raise Malformed(f"there are only {len(names)} groups to split by; give at least 3")
    order = np.random.default_rng(seed).permutation(len(names))
    reached = np.cumsum(counts[order])
    many = int(np.searchsorted(reached, held_out * len(groups))) + 1
    held = np.isin(groups, names[order[: min(many, len(names) - 2)]])
    return np.flatnonzero(~held), np.flatnonzero(held)


def folds_for(target: Array, wanted: int, values: int, *, stratified: bool, groups: Array | None) -> int:
    """How many folds: as many as wanted, but every class has a row in each; 1 where there is much data."""
    if values > _LEAST_FOLDED:
        return 1
    if groups is not None:
        return max(2, min(wanted, len(np.unique(groups))))
    if stratified:
        wanted = min(wanted, int(np.unique(target, return_counts=True)[1].min()))
    return max(2, min(wanted, len(target)))


def folded(
    target: Array, folds: int, seed: int, *, stratified: bool, groups: Array | None, timed: bool
) -> Iterator[tuple[Array, Array]]:
    """Row numbers to learn from and to check with, once a fold; each row is checked at most once."""
    from sklearn import model_selection as ways  # noqa: PLC0415 (heavy)

    nothing = np.zeros(len(target))
    if folds == 1:
        yield _one_split(target, seed, stratified=stratified, groups=groups, timed=timed)
    elif timed:
        yield from ways.TimeSeriesSplit(folds).split(nothing)
    elif groups is not None:
        yield from ways.GroupKFold(folds, shuffle=True, random_state=seed).split(nothing, groups=groups)
    else:
        way = ways.StratifiedKFold if stratified else ways.KFold
        yield from way(folds, shuffle=True, random_state=seed).split(nothing, target)


def _one_split(
    target: Array, seed: int, *, stratified: bool, groups: Array | None, timed: bool
) -> tuple[Array, Array]:
    if timed:
        return split_by_time(np.arange(len(target)), 0.2)
    if groups is not None:
        return split_by_group(groups, 0.2, seed)
    return split(target, 0.2, seed, stratified=stratified)
