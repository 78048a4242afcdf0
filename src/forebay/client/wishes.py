"""What was said about a training or a compression: the words are the workshop's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from forebay.workshop.train.training import Wishes


def check_wish(keep: str, goal: str, time_budget_s: float, seed: int) -> None:
    """Raise `Malformed` for what nothing can be compressed by: before anything is uploaded."""
    from forebay.workshop.compress import Wish  # noqa: PLC0415 (not for those who compress nothing)

    Wish.read(keep, goal, time_budget_s, seed)


def plain(wishes: Wishes) -> dict[str, Any]:
    """The same as JSON says it, without what was left out."""
    lists = ("features", "objectives", "quantiles")
    return {
        name: list(value) if name in lists and isinstance(value, Sequence) else value
        for name, value in wishes.items()
        if value is not None
    }
