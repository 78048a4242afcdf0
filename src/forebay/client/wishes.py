"""What was said about a training, without loading the workshop, whose words they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from forebay.workshop.train.training import Wishes


def plain(wishes: Wishes) -> dict[str, Any]:
    """The same as JSON says it, without what was left out."""
    lists = ("features", "objectives", "quantiles")
    return {
        name: list(value) if name in lists and isinstance(value, Sequence) else value
        for name, value in wishes.items()
        if value is not None
    }
