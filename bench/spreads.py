"""From rounds to numbers: smallest, median, largest; and ratios of what was measured in one round."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from bench.words import CaseResult, Sample

Value = Callable[[Sample], float]
Rounds = Mapping[int, float]


class Spread(NamedTuple):
    """Of one number over the rounds."""

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """The spread of at least one value.

        >>> Spread.of([3.0, 1.0, 2.0])
        Spread(low=1.0, median=2.0, high=3.0)
        """
        ordered = sorted(values)
        return cls(ordered[0], statistics.median(ordered), ordered[-1])


def rate(sample: Sample) -> float:
    """Answers a second."""
    return sample.load.rate


def cpu(sample: Sample) -> float:
    """CPU seconds for 1,000 requests."""
    return sample.cpu_per_thousand_s


def p99(sample: Sample) -> float:
    """The latency that one request in a hundred exceeds."""
    return sample.load.p99_s


def by_round(result: CaseResult, subject: str, level: int, value: Value) -> dict[int, float]:
    """One number of one subject at one level, by round."""
    return {
        sample.round: value(sample)
        for sample in result.samples
        if sample.subject == subject and sample.level == level
    }


def best(rounds: Iterable[Rounds], choose: Callable[[Iterable[float]], float] = max) -> dict[int, float]:
    """In each round the best of several.

    >>> best([{0: 1.0, 1: 5.0}, {0: 3.0}])
    {0: 3.0, 1: 5.0}
    """
    found: dict[int, list[float]] = {}
    for each in rounds:
        for round_, value in each.items():
            found.setdefault(round_, []).append(value)
    return {round_: choose(values) for round_, values in sorted(found.items())}


def ratio(above: Rounds, below: Rounds) -> Spread | None:
    """The spread of the ratio, of rounds in which both were measured; None if there are none.

    >>> ratio({0: 3.0, 1: 8.0}, {0: 2.0, 1: 4.0, 2: 1.0})
    Spread(low=1.5, median=1.75, high=2.0)
    """
    both = [above[round_] / below[round_] for round_ in above if below.get(round_)]
    return Spread.of(both) if both else None
