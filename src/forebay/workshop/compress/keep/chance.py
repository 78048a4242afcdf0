"""How far off a figure may be by chance: intervals of 95 %."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from forebay.core import Array

Z = 1.959963984540054
_STEPS = 60
RESAMPLES = 600


class Interval(NamedTuple):
    """Where the true figure lies, 95 times of 100."""

    low: float
    high: float


def share_interval(hits: float, rows: float) -> Interval:
    """Of a share (Wilson 1927).

    >>> low, high = share_interval(990, 1000)
    >>> round(low, 4), round(high, 4)
    (0.9817, 0.9946)
    """
    share, spread = hits / rows, Z * Z / rows
    middle = share + spread / 2
    reach = Z * math.sqrt(share * (1 - share) / rows + spread / (4 * rows))
    return Interval((middle - reach) / (1 + spread), (middle + reach) / (1 + spread))


def paired_interval(lost: float, gained: float, rows: float) -> Interval:
    """Of the difference of two shares over the same rows (Tango 1998, equations 7 to 10).

    *lost* rows were right before and are wrong now, *gained* the other way round. No row lost proves
    little when there are few rows:

    >>> low, high = paired_interval(0, 0, 100)
    >>> round(low, 3), round(high, 3)
    (-0.037, 0.037)
    """
    change = (gained - lost) / rows
    return Interval(_edge(lost, gained, rows, change, -1.0), _edge(lost, gained, rows, change, 1.0))


def _edge(lost: float, gained: float, rows: float, change: float, limit: float) -> float:
    """Between *change* and *limit*, where the score of the difference reaches `Z`; by bisection."""
    inside, outside = change, limit
    for _ in range(_STEPS):
        middle = (inside + outside) / 2
        if abs(_score(lost, gained, rows, middle)) < Z:
            inside = middle
        else:
            outside = middle
    return inside


def _score(lost: float, gained: float, rows: float, difference: float) -> float:
    squared = 2 * rows
    linear = -gained - lost + (2 * rows - gained + lost) * difference
    rest = -lost * difference * (1 - difference)
    share = (math.sqrt(max(0.0, linear * linear - 4 * squared * rest)) - linear) / (2 * squared)
    variance = rows * (2 * share + difference * (1 - difference))
    if variance <= 0:
        return 0.0 if gained - lost == rows * difference else math.inf
    return (gained - lost - rows * difference) / math.sqrt(variance)


def resampled(figure: Callable[[Array, np.random.Generator], float], rows: int, draw_rows: int) -> Interval:
    """Of any figure, by drawing *draw_rows* of *rows* again and again (the bootstrap; Efron 1979).

    *figure* gets row numbers, and a generator for what it draws itself. Drawn alike for everybody, so that
    the same data give the same interval.
    """
    draw = np.random.default_rng(20260101)
    found = np.array([figure(draw.integers(0, rows, draw_rows), draw) for _ in range(RESAMPLES)])
    found = found[np.isfinite(found)]
    if len(found) < RESAMPLES // 2:  # a class so rare that most draws miss it
        return Interval(-math.inf, math.inf)
    low, high = np.quantile(found, [0.025, 0.975])
    return Interval(float(low), float(high))
