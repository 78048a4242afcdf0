"""What a candidate's step is."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from importlib.util import find_spec

from forebay.core.errors import Unsupported
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

    `make` raises `Unsupported` with the reason where it has nothing to work on. `needs` is a module that not
    everybody has, and `extra` is what it comes with.
    """

    name: str
    stage: Stage
    price: Price
    make: Callable[[Draft, Bench], Draft]
    needs: str = ""
    extra: str = "compress"

    @property
    def family(self) -> str:
        """The name without its numbers.

        >>> step = Step("neurons-1/2", Stage.SHAPE, Price.TRAINS, lambda draft, bench: draft)
        >>> step.family
        'neurons'
        """
        return re.split(r"-\d", self.name)[0]

    @property
    def missing(self) -> bool:
        """Whether its library is not installed."""
        return bool(self.needs) and find_spec(self.needs) is None

    def check(self) -> None:
        """Raise `Unsupported` with the line to type where its library is not installed."""
        if self.missing:
            raise Unsupported(
                f"this needs {self.needs}, which is missing; type: pip install 'forebay[{self.extra}]'"
            )
