"""Several models as one: which weights, and whether it pays; and how sure its probabilities should be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from forebay.core import Array
from forebay.workshop.train.fitted import calibrated
from forebay.workshop.train.recipe import CLASSIFICATION, MULTILABEL, QUANTILE
from forebay.workshop.train.scores import pinball

Loss: TypeAlias = Callable[[Array, Array], float]
"""Of answers [rows, answers] and their target; less is better."""

_PICKS = 12
_PARTS = 5
_LEAST_WEIGHT = 0.05
_TEMPERATURES = np.geomspace(0.25, 4.0, 41)
_SAME = 0.05


def loss_for(task: str, quantiles: tuple[float, ...]) -> Loss:
    """The smooth error that weights are chosen by: targets are codes, 0/1 labels, or numbers."""
    if task == CLASSIFICATION:
        return lambda told, want: (
            -float(np.mean(np.log(np.clip(told[np.arange(len(want)), want.astype(int)], 1e-7, 1.0))))
        )
    if task == MULTILABEL:
        return lambda told, want: (
            -float(np.mean(np.log(np.clip(np.where(want > 0, told, 1 - told), 1e-7, 1.0))))
        )
    if task == QUANTILE:
        return lambda told, want: pinball(want, told, quantiles)
    return lambda told, want: float(np.mean((told - want.reshape(told.shape)) ** 2))


def weights_for(told: Sequence[Array], target: Array, loss: Loss) -> Array:
    """Weights that add up to one: the best is taken again and again (Caruana et al., 2004).

    Weights below a twentieth are given to the others: a member costs time whatever it weighs.
    """
    picks = np.zeros(len(told))
    total = np.zeros_like(told[0])
    for count in range(1, _PICKS + 1):
        losses = [loss((total + one) / count, target) for one in told]
        best = int(np.argmin(losses))
        picks[best] += 1
        total = total + told[best]
    weights = picks / picks.sum()
    weights[weights < _LEAST_WEIGHT] = 0.0
    return np.asarray(weights / weights.sum())


def blend(
    told: Sequence[Array], target: Array, loss: Loss, gain: Callable[[Array, Array], float], seed: int
) -> Array | None:
    """Weights of *told*, the best first; None where several are no better than the best alone.

    Judged on rows that the weights were not chosen by: five times, four fifths choose, one judges
    by *gain* (more is better). It pays when the mean gain is more than its standard error.
    """
    if len(told) < 2:
        return None
    gains = []
    for choose, judge in _parts(len(target), seed):
        weights = weights_for([one[choose] for one in told], target[choose], loss)
        mixed = sum(weight * one[judge] for weight, one in zip(weights, told, strict=True))
        gains.append(gain(np.asarray(mixed), target[judge]) - gain(told[0][judge], target[judge]))
    if not _pays(gains):
        return None
    weights = weights_for(told, target, loss)
    return weights if np.count_nonzero(weights) > 1 else None


def temperature_for(told: Array, target: Array, loss: Loss, seed: int) -> float:
    """The temperature with the least log loss, 1.0 where none is surely better than as it is."""

    def best(rows: Array) -> float:
        losses = [loss(calibrated(told[rows], one), target[rows]) for one in _TEMPERATURES]
        return float(_TEMPERATURES[int(np.argmin(losses))])

    gains = []
    for choose, judge in _parts(len(target), seed):
        mended = calibrated(told[judge], best(choose))
        gains.append(loss(told[judge], target[judge]) - loss(mended, target[judge]))
    if not _pays(gains):
        return 1.0
    found = best(np.arange(len(target)))
    return found if abs(found - 1.0) > _SAME else 1.0


def _parts(rows: int, seed: int) -> list[tuple[Array, Array]]:
    pieces = np.array_split(np.random.default_rng(seed).permutation(rows), min(_PARTS, rows))
    everything = np.arange(rows)
    return [(np.setdiff1d(everything, piece), np.sort(piece)) for piece in pieces if len(piece) < rows]


def _pays(gains: list[float]) -> bool:
    mean, error = float(np.mean(gains)), float(np.std(gains)) / len(gains) ** 0.5
    return bool(mean > error)
