"""A series of numbers as rows to learn from: what was, and what came after it."""

from __future__ import annotations

import numpy as np

from forebay.core import Array
from forebay.core.errors import Malformed

_LEAST_WINDOWS = 30
_MOST_LAGS = 60


def lagged(values: Array, lags: int | None, horizon: int) -> tuple[Array, Array]:
    """Windows of *values*: float32 [windows, lags], the last value last, and float64 [windows, horizon].

    >>> rows, target = lagged(np.arange(40.0), 3, 2)
    >>> rows[0].tolist(), target[0].tolist(), len(rows)
    ([0.0, 1.0, 2.0], [3.0, 4.0], 36)
    """
    lags = lags or season_of(values)
    windows = len(values) - lags - horizon + 1
    if windows < _LEAST_WINDOWS:
        raise Malformed(
            f"{len(values)} values give {windows} windows of {lags} lags and {horizon} steps, and "
            f"{_LEAST_WINDOWS} are needed; give more values, fewer lags, or a shorter horizon"
        )
    both = np.lib.stride_tricks.sliding_window_view(values, lags + horizon)
    return both[:, :lags].astype(np.float32), np.array(both[:, lags:], dtype=np.float64)


def season_of(values: Array) -> int:
    """How far to look back: two of the period at which the series' changes repeat most, or two weeks of days.

    The period is the highest peak of the autocorrelation of the differences.
    """
    changes = np.diff(values)
    changes = changes - changes.mean()
    most = min(_MOST_LAGS // 2, len(values) // 4)
    if most < 3 or not changes.any():
        return max(2, min(14, most))
    power = float(changes @ changes)
    likeness = [float(changes[:-lag] @ changes[lag:]) / power for lag in range(2, most + 1)]
    best = int(np.argmax(likeness))
    return 2 * (best + 2) if likeness[best] > 0.2 else min(14, most)
