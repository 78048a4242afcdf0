"""What somebody asks of a training, checked before any data is read."""

from __future__ import annotations

import difflib
from collections.abc import Collection

import msgspec

from forebay.core.errors import Malformed

CLASSIFICATION = "classification"
REGRESSION = "regression"
AUTO = "auto"
_MOST_FOLDS = 20
_LEAST_HELD_OUT, _MOST_HELD_OUT = 0.01, 0.5


class Recipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How to train. `task` None looks at the target, `features` None takes every usable column.

    `folds` are those of the cross-validation that compares estimators; the share `held_out` of the
    rows is never seen by it, nor by the final fit, and gives the score that the card shows.
    `time_budget_s` ends the comparison early, not the final fit.

    >>> Recipe("species", estimator="random-forrest")
    Traceback (most recent call last):
    forebay.core.errors.Malformed: there is no estimator 'random-forrest'; did you mean 'random-forest'?
    """

    target: str
    task: str | None = None
    estimator: str = AUTO
    features: tuple[str, ...] | None = None
    folds: int = 5
    held_out: float = 0.2
    seed: int = 0
    time_budget_s: float | None = None

    def __post_init__(self) -> None:
        """Refuse what can never work."""
        if self.task is not None:
            one_of(self.task, (CLASSIFICATION, REGRESSION), "task")
        one_of(self.estimator, (AUTO, *ESTIMATORS), "estimator")
        if not 2 <= self.folds <= _MOST_FOLDS:
            raise Malformed(f"folds is {self.folds}; give 2 to {_MOST_FOLDS}")
        if not _LEAST_HELD_OUT <= self.held_out <= _MOST_HELD_OUT:
            raise Malformed(f"held_out is {self.held_out:g}; give a share of the rows from 0.01 to 0.5")
        if self.time_budget_s is not None and not self.time_budget_s > 0:
            raise Malformed(f"time_budget_s is {self.time_budget_s:g}; give seconds above 0, or leave it out")
        if self.features is not None and self.target in self.features:
            raise Malformed(f"the target {self.target!r} is among the features; take it out")


ESTIMATORS: tuple[str, ...] = (
    "logistic-regression",
    "ridge",
    "hist-gradient-boosting",
    "random-forest",
    "mlp",
)


def one_of(word: str, known: Collection[str], what: str) -> str:
    """*word* itself if it is *known*; otherwise `Malformed` with the nearest that is."""
    if word in known:
        return word
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"there is {', '.join(map(repr, list(known)[:20]))}"
    raise Malformed(f"there is no {what} {word!r}; {hint}")
