"""What an estimator is to the workshop: how to make it, what it needs before it, what may be tuned."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

from forebay.core.extras import need

CLASSES = "classes"
NUMBERS = "numbers"
QUANTILES = "quantiles"


class Asked(NamedTuple):
    """What one head is to be: its seed and parameters, its quantile, and the image behind a row.

    `image` is (channels, height, width); `watch` is told epoch, epochs and figures. What learns in epochs
    takes no longer than `allotted_s`.
    """

    seed: int
    params: Mapping[str, Any]
    quantile: float = 0.5
    image: tuple[int, int, int] | None = None
    watch: Callable[[int, int, dict[str, float]], None] | None = None
    allotted_s: float = math.inf


class Range(NamedTuple):
    """A parameter between two numbers, drawn evenly, or evenly by its logarithm."""

    low: float
    high: float
    log: bool = False
    whole: bool = False


Space: TypeAlias = Mapping[str, "Range | tuple[Any, ...]"]
Maker: TypeAlias = Callable[[Asked], Any]


@dataclass(frozen=True, slots=True)
class Estimator:
    """One estimator: how to make it for each kind of answer, and what it wants.

    `scaled` and `filled` are about its numbers; `heavy` ones take no part in `auto` where there is much
    data, `rows_heavy` where there are many rows; `alone` ones never do. `sparse` ones take the
    thousands of columns that a text becomes, `words` ones are for such rows alone. `paced` ones keep a time
    that they are allotted. `module` comes with the extra `extra`.
    """

    name: str
    makers: Mapping[str, Maker]
    space: Space = field(default_factory=dict)
    scaled: bool = False
    filled: bool = False
    heavy: bool = False
    rows_heavy: bool = False
    alone: bool = False
    sparse: bool = False
    pixels: bool = False
    words: bool = False
    paced: bool = False
    module: str = "sklearn"
    extra: str = "sklearn"

    @property
    def installed(self) -> bool:
        """Whether its library is here."""
        return importlib.util.find_spec(self.module) is not None

    def make(self, kind: str, asked: Asked) -> Any:
        """An unfitted head with `fit`, and `predict` or `predict_proba`; raises `Unsupported`."""
        need(self.module, self.extra)
        return self.makers[kind](asked)
