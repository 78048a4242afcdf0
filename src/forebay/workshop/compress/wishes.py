"""What somebody asks of a search."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias

from forebay.core.errors import Malformed
from forebay.workshop.compress.keep import Promise, parse
from forebay.workshop.compress.tried import Tried

Listener: TypeAlias = Callable[[Mapping[str, Any]], None]
"""Receives events: `kind` is `progress` (with `step`, `fraction`, `text`), `log` (`text`) or `candidate`."""


class Goal(StrEnum):
    """What is to become less."""

    LATENCY = "latency"
    THROUGHPUT = "throughput"
    SIZE = "size"
    MEMORY = "memory"
    ENERGY = "energy"

    def burden(self, tried: Tried) -> float:
        """How much of it is left, as a share of the original's; smaller is better."""
        if self is Goal.SIZE:
            return tried.size
        if self is Goal.MEMORY:
            return tried.memory_bytes / max(1, tried.original_memory_bytes)
        if self is Goal.ENERGY:
            return tried.ratio("row_joules", 32)
        return tried.ratio("p50_s", 1 if self is Goal.LATENCY else 32)


@dataclass(frozen=True, slots=True)
class Wish:
    """The promises, the goal, and how long to look for it."""

    keep: tuple[Promise, ...]
    goal: Goal = Goal.LATENCY
    time_budget_s: float = 600.0
    seed: int = 0

    @classmethod
    def read(cls, keep: str, goal: str, time_budget_s: float, seed: int) -> Wish:
        """From words; raises `Malformed`."""
        if goal not in list(Goal):
            raise Malformed(f"{goal!r} is nothing to compress for; there are {', '.join(Goal)}")
        if not time_budget_s > 0:
            raise Malformed(f"a search needs time, not {time_budget_s:g} s; 600 is usual")
        return cls(parse(keep), Goal(goal), time_budget_s, seed)


def silence(_event: Mapping[str, Any]) -> None:
    """The listener of somebody who does not listen."""
