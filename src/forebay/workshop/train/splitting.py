"""Rows that the model learns from, and rows that it never sees."""

from __future__ import annotations

import numpy as np

from forebay.core import Array


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
