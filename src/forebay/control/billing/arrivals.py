"""Which sequence numbers of a journal are new: the arithmetic behind *once*."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

Run: TypeAlias = tuple[int, int]
"""Sequence numbers from the first up to, but without, the second."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """What a shipment brings: the runs to take over, the gaps that remain, and what is expected next."""

    new: tuple[Run, ...]
    gaps: tuple[Run, ...]
    next_seq: int


def arrive(first: int, end: int, next_seq: int, gaps: Iterable[Run]) -> Arrival:
    """What is new in the run from *first* to *end*, if all before *next_seq* but the *gaps* is held already.

    >>> arrive(3, 8, next_seq=5, gaps=())
    Arrival(new=((5, 8),), gaps=(), next_seq=8)
    >>> arrive(7, 8, next_seq=5, gaps=())
    Arrival(new=((7, 8),), gaps=((5, 7),), next_seq=8)
    >>> arrive(4, 6, next_seq=8, gaps=[(5, 7)])
    Arrival(new=((5, 6),), gaps=((6, 7),), next_seq=8)
    """
    new: list[Run] = []
    left: list[Run] = []
    for gap in gaps:
        filled = (max(gap[0], first), min(gap[1], end))
        if filled[0] < filled[1]:
            new.append(filled)
            left += [(gap[0], filled[0]), (filled[1], gap[1])]
        else:
            left.append(gap)
    if end > next_seq:
        left.append((next_seq, first))
        new.append((max(first, next_seq), end))
    return Arrival(tuple(new), tuple(run for run in left if run[0] < run[1]), max(end, next_seq))
