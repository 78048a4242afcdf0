"""What may be said about a training, word by word, without loading the workshop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict


class Wishes(TypedDict, total=False):
    """Each word is a field of the workshop's `Recipe`, which explains it and checks it at the hub."""

    task: str | None
    estimator: str | None
    features: Sequence[str] | None
    folds: int
    held_out: float
    seed: int
    time_budget_s: float | None
    metric: str | None
    objectives: Sequence[str]
    split: str | None
    by: str | None
    class_weights: bool
    calibrate: bool
    parameters: Mapping[str, str | int | float | bool]
    quantiles: Sequence[float]
    horizon: int
    lags: int | None
    memory_bytes: int


def plain(wishes: Wishes) -> dict[str, Any]:
    """The same as JSON says it, without what was left out."""
    lists = ("features", "objectives", "quantiles")
    return {
        name: list(value) if name in lists and isinstance(value, Sequence) else value
        for name, value in wishes.items()
        if value is not None
    }
