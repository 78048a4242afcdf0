"""What somebody asks of a training, checked before any data is read."""

from __future__ import annotations

import difflib
from collections.abc import Collection

import msgspec

from forebay.core.errors import Malformed

CLASSIFICATION = "classification"
MULTILABEL = "multilabel"
REGRESSION = "regression"
QUANTILE = "quantile"
FORECASTING = "forecasting"
CLUSTERING = "clustering"
ANOMALY = "anomaly"
TASKS = (CLASSIFICATION, MULTILABEL, REGRESSION, QUANTILE, FORECASTING, CLUSTERING, ANOMALY)
UNTAUGHT = (CLUSTERING, ANOMALY)
"""Tasks that learn without a target."""

AUTO = "auto"
ESTIMATORS: tuple[str, ...] = (
    "logistic-regression",
    "linear-regression",
    "ridge",
    "decision-tree",
    "random-forest",
    "hist-gradient-boosting",
    "xgboost",
    "lightgbm",
    "catboost",
    "mlp",
    "torch-mlp",
    "torch-cnn",
    "text-embedding",
    "keras-mlp",
    "keras-cnn",
    "vowpal-wabbit",
    "k-means",
    "isolation-forest",
)
STREAMED = ("vowpal-wabbit",)
"""Estimators that learn row by row, and so from more rows than memory holds."""
SPLITS = ("stratified", "random", "time", "group")
OBJECTIVES = ("latency", "size")
METRICS = {
    CLASSIFICATION: ("macro_f1", "accuracy", "auc", "log_loss"),
    MULTILABEL: ("macro_f1", "accuracy", "auc", "log_loss"),
    REGRESSION: ("r2", "rmse", "mae"),
    QUANTILE: ("skill", "pinball"),
    FORECASTING: ("skill", "mae", "rmse"),
    CLUSTERING: ("silhouette",),
    ANOMALY: ("auc", "flagged"),
}
"""Of each task, what a search may look at; the first is what it looks at unless told."""

_MOST_FOLDS = 20
_LEAST_HELD_OUT, _MOST_HELD_OUT = 0.01, 0.5
_MOST_STEPS = 1000


class Recipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How to train. `task` None looks at the target, `features` None takes every usable column.

    `target` names a column; several, separated by commas, are the 0/1 columns of a multilabel task;
    empty, nothing is taught (clustering, anomaly). `folds` are those of the cross-validation that
    compares estimators; the share `held_out` of the rows is never seen by it, nor by the final fit, and
    gives the score that the card shows. With `time_budget_s` a search looks for better parameters, and
    for that long; without, each estimator runs as it is. `objectives` name what counts beside the score.

    >>> Recipe("species", estimator="random-forrest")
    Traceback (most recent call last):
    forebay.core.errors.Malformed: there is no estimator 'random-forrest'; did you mean 'random-forest'?
    """

    target: str = ""
    task: str | None = None
    estimator: str = AUTO
    features: tuple[str, ...] | None = None
    folds: int = 5
    held_out: float = 0.2
    seed: int = 0
    time_budget_s: float | None = None
    metric: str | None = None
    objectives: tuple[str, ...] = ()
    split: str | None = None
    by: str | None = None
    class_weights: bool = False
    calibrate: bool = True
    parameters: dict[str, str | int | float | bool] = {}
    quantiles: tuple[float, ...] = (0.1, 0.5, 0.9)
    horizon: int = 7
    lags: int | None = None
    memory_bytes: int = 1 << 30

    def __post_init__(self) -> None:
        """Refuse what can never work."""
        if self.task is not None:
            one_of(self.task, TASKS, "task")
        one_of(self.estimator, (AUTO, *ESTIMATORS), "estimator")
        self._check_numbers()
        self._check_words()
        if self.features is not None and set(self.targets) & set(self.features):
            raise Malformed(f"the target {self.target!r} is among the features; take it out")

    @property
    def targets(self) -> tuple[str, ...]:
        """The names in `target`, one for each column of a multilabel task."""
        several = self.task == MULTILABEL or (self.task is None and "," in self.target)
        return tuple(name.strip() for name in self.target.split(",")) if several else (self.target,)

    def _check_numbers(self) -> None:
        if not 2 <= self.folds <= _MOST_FOLDS:
            raise Malformed(f"folds is {self.folds}; give 2 to {_MOST_FOLDS}")
        if not _LEAST_HELD_OUT <= self.held_out <= _MOST_HELD_OUT:
            raise Malformed(f"held_out is {self.held_out:g}; give a share of the rows from 0.01 to 0.5")
        if self.time_budget_s is not None and not self.time_budget_s > 0:
            raise Malformed(f"time_budget_s is {self.time_budget_s:g}; give seconds above 0, or leave it out")
        if not self.quantiles or not all(0 < share < 1 for share in self.quantiles):
            raise Malformed(f"quantiles are {list(self.quantiles)}; give shares between 0 and 1")
        if sorted(set(self.quantiles)) != list(self.quantiles):
            raise Malformed(f"quantiles are {list(self.quantiles)}; give them in ascending order, once each")
        for name, value in (("horizon", self.horizon), ("lags", self.lags or 1)):
            if not 1 <= value <= _MOST_STEPS:
                raise Malformed(f"{name} is {value}; give 1 to {_MOST_STEPS}")
        if self.memory_bytes < 1 << 24:
            raise Malformed(f"memory_bytes is {self.memory_bytes}; give at least 16 MB (16777216)")

    def _check_words(self) -> None:
        for objective in self.objectives:
            one_of(objective, OBJECTIVES, "objective")
        if self.split is not None:
            one_of(self.split, SPLITS, "split")
        if self.split in ("time", "group") and self.by is None:
            raise Malformed(f"split={self.split!r} needs the column to split by; name it: by='…'")
        if self.by is not None and self.split not in ("time", "group") and self.task != FORECASTING:
            raise Malformed("`by` names the column of a split by time or group; say which: split='time'")
        if self.metric is not None:
            known = (
                METRICS[self.task] if self.task else {name for names in METRICS.values() for name in names}
            )
            one_of(self.metric, sorted(known), "metric")
        if self.task in UNTAUGHT and not self.target:
            return
        if not self.target:
            raise Malformed("name the column to predict as the target; only clustering and anomaly have none")


def one_of(word: str, known: Collection[str], what: str) -> str:
    """*word* itself if it is *known*; otherwise `Malformed` with the nearest that is."""
    if word in known:
        return word
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"there is {', '.join(map(repr, list(known)[:20]))}"
    raise Malformed(f"there is no {what} {word!r}; {hint}")
