"""What a candidate's step is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

from forebay.workshop.compress.drafts import Bench, Draft


class Stage(IntEnum):
    """In which order steps of a recipe go; a recipe has at most one of each."""

    SHAPE = 0
    GRAPH = 1
    PRECISION = 2
    BACKEND = 3


class Price(IntEnum):
    """How long making it takes: cheap ones are tried first."""

    INSTANT = 0
    CALIBRATES = 1
    TRIES = 2
    TRAINS = 3


@dataclass(frozen=True, slots=True)
class Step:
    """One way to a smaller or faster model.

    `make` raises `Unsupported` with the reason where it has nothing to work on.
    """

    name: str
    stage: Stage
    price: Price
    make: Callable[[Draft, Bench], Draft]
