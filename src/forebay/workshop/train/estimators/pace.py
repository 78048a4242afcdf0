"""How fast a network learns: by its steps, or by the clock where that is ahead."""

from __future__ import annotations

import math
import time

ONECYCLE, COSINE, CONSTANT = "onecycle", "cosine", "constant"
SCHEDULES = (ONECYCLE, COSINE, CONSTANT)
_GRACE = 0.05
"""The share of the time that may pass before the clock counts: a first step is slow."""
_RISE = 0.3
_START, _END = 25.0, 1e4
_LEAST_MOMENTUM, _MOST_MOMENTUM = 0.85, 0.95


class Pace:
    """How much of the learning is over: by its steps, or by the clock where that is ahead.

    A schedule that follows it comes down to its end in time, however slow the machine is.
    """

    def __init__(self, steps: int, allotted_s: float) -> None:
        self._steps, self._allotted_s = steps, allotted_s
        self._began, self._done = time.monotonic(), 0

    def step(self) -> None:
        """One more is done."""
        self._done += 1

    @property
    def share(self) -> float:
        """How much of it is over, 0 to 1."""
        passed = (time.monotonic() - self._began) / self._allotted_s - _GRACE
        return min(1.0, max(self._done / self._steps, passed / (1 - _GRACE)))

    @property
    def over(self) -> bool:
        """Whether there is nothing left to do, or no time."""
        return self.share >= 1.0


def rate_at(share: float, schedule: str, learning_rate: float) -> float:
    """The learning rate when the *share* of the learning is over.

    `onecycle` (Smith, 2018) rises to twice the *learning_rate* for three tenths, then falls to nothing.

    >>> [round(rate_at(share, "onecycle", 0.01), 10) for share in (0.0, 0.3, 1.0)]
    [0.0008, 0.02, 8e-08]
    """
    if schedule == CONSTANT:
        return learning_rate
    if schedule == COSINE:
        return _between(learning_rate, 0.0, share)
    most = 2 * learning_rate
    start = most / _START
    return _up_and_down(share, start, most, start / _END)


def momentum_at(share: float) -> float:
    """The momentum of `onecycle`: it falls while the rate rises, and the other way round."""
    return _up_and_down(share, _MOST_MOMENTUM, _LEAST_MOMENTUM, _MOST_MOMENTUM)


def _up_and_down(share: float, start: float, turn: float, end: float) -> float:
    if share < _RISE:
        return _between(start, turn, share / _RISE)
    return _between(turn, end, (share - _RISE) / (1 - _RISE))


def _between(first: float, last: float, share: float) -> float:
    """From *first* to *last* along half a wave of the cosine."""
    return last + (first - last) * (1 + math.cos(math.pi * share)) / 2
