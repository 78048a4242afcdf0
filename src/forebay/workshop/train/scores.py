"""How good answers are. Every figure is a plain float."""

from __future__ import annotations

from typing import Any

import numpy as np

from forebay.core import Array
from forebay.workshop.train.fitted import shown
from forebay.workshop.train.recipe import CLASSIFICATION, FORECASTING, METRICS, MULTILABEL, QUANTILE

MEANING = {
    "accuracy": "share of rows that are right, in every label if there are several",
    "macro_f1": "F1 of each class, averaged: every class counts alike",
    "auc": "chance that a right class gets more probability than a wrong one",
    "log_loss": "how surprised the probabilities are by the truth; less is better",
    "calibration_error": "how far probabilities are from the share of right answers; less is better",
    "r2": "share of the variance explained; 0 is as good as always saying the mean",
    "rmse": "root of the mean squared error, in the target's unit",
    "mae": "mean absolute error, in the target's unit",
    "pinball": "mean pinball loss of the quantiles, in the target's unit; less is better",
    "skill": "share of the simplest guess's error that is gone: the last value, or the quantiles of all rows",
    "coverage": "share of the truth between the lowest and the highest quantile",
    "silhouette": "how much closer rows are to their own cluster than to the next; 1 is best",
    "flagged": "share of the rows that are called anomalies",
}
LESS_IS_BETTER = frozenset({"log_loss", "rmse", "mae", "pinball", "calibration_error"})
_BINS = 10


def primary(task: str, metric: str | None) -> str:
    """What is looked at first."""
    return metric or METRICS[task][0]


def better(metric: str, value: float) -> float:
    """*value* so that more is better."""
    return -value if metric in LESS_IS_BETTER else value


def score(
    answers: Array,
    target: Array,
    task: str,
    *,
    classes: Array,
    quantiles: tuple[float, ...] = (),
    last: Array | None = None,
    spread: Array | None = None,
) -> dict[str, float]:
    """All figures of *answers* [rows, answers] against *target*.

    *last* are the last values that a forecaster knew, *spread* quantiles of all rows: the simplest
    guesses, against which skill is measured.
    """
    if task == CLASSIFICATION:
        return _of_classes(classes, target, answers)
    if task == MULTILABEL:
        return _of_labels(target, answers)
    if task == QUANTILE:
        return _of_quantiles(target, answers, quantiles, spread)
    if task == FORECASTING:
        assert last is not None
        return _of_forecasts(target, answers, last)
    return _of_numbers(target, answers[:, 0])


def _of_classes(classes: Array, target: Array, answers: Array) -> dict[str, float]:
    from sklearn import metrics  # noqa: PLC0415 (heavy)

    labels = shown(answers, CLASSIFICATION, classes)
    shares = np.clip(answers, 1e-15, None)
    shares = shares / shares.sum(axis=1, keepdims=True)  # float32 sums to almost one
    codes = np.searchsorted(classes, target)
    present = np.unique(target)
    figures = {
        "accuracy": np.mean(labels == target),
        "macro_f1": metrics.f1_score(target, labels, labels=present, average="macro", zero_division=0.0),
        "log_loss": -np.mean(np.log(shares[np.arange(len(codes)), codes])),
        "calibration_error": calibration_error(shares, codes),
    }
    if len(present) == len(classes):  # otherwise it is not defined
        told = shares[:, 1] if len(classes) == 2 else shares
        figures["auc"] = metrics.roc_auc_score(target, told, multi_class="ovr", labels=classes)
    return {name: float(value) for name, value in figures.items()}


def calibration_error(shares: Array, codes: Array) -> float:
    """Expected calibration error of the likeliest class, in ten bins (Naeini et al., 2015)."""
    sure, right = shares.max(axis=1), shares.argmax(axis=1) == codes
    bins = np.minimum((sure * _BINS).astype(int), _BINS - 1)
    gaps = [
        abs(sure[bins == one].mean() - right[bins == one].mean()) * (bins == one).mean() for one in set(bins)
    ]
    return float(sum(gaps))


def _of_labels(target: Array, answers: Array) -> dict[str, float]:
    from sklearn import metrics  # noqa: PLC0415 (heavy)

    told = (answers >= 0.5).astype(np.int64)
    shares = np.clip(answers, 1e-15, 1 - 1e-15)
    surprise = -(target * np.log(shares) + (1 - target) * np.log(1 - shares))
    figures = {
        "accuracy": np.mean((told == target).all(axis=1)),
        "macro_f1": metrics.f1_score(target, told, average="macro", zero_division=0.0),
        "log_loss": surprise.mean(),
    }
    mixed = [place for place in range(target.shape[1]) if 0 < target[:, place].mean() < 1]
    if mixed:
        figures["auc"] = np.mean([metrics.roc_auc_score(target[:, one], answers[:, one]) for one in mixed])
    return {name: float(value) for name, value in figures.items()}


def _of_numbers(target: Array, predicted: Array) -> dict[str, float]:
    errors = target - predicted
    spread = float(np.sum((target - target.mean()) ** 2))
    return {
        "r2": 1.0 - float(np.sum(errors**2)) / spread if spread > 0 else 0.0,
        "rmse": float(np.sqrt(np.mean(errors**2))),
        "mae": float(np.mean(np.abs(errors))),
    }


def _of_quantiles(
    target: Array, answers: Array, quantiles: tuple[float, ...], spread: Array | None
) -> dict[str, float]:
    loss = pinball(target, answers, quantiles)
    guesses = np.quantile(target, quantiles) if spread is None else spread
    guessed = pinball(target, np.broadcast_to(guesses, answers.shape), quantiles)
    inside = (target >= answers[:, 0]) & (target <= answers[:, -1])
    return {
        "skill": 1.0 - loss / guessed if guessed > 0 else 0.0,
        "pinball": loss,
        "coverage": float(inside.mean()),
    }


def pinball(target: Array, answers: Array, quantiles: tuple[float, ...]) -> float:
    """Koenker and Bassett's loss (1978), averaged over rows and quantiles."""
    apart = target.reshape(-1, 1) - answers
    share = np.asarray(quantiles)
    return float(np.maximum(share * apart, (share - 1) * apart).mean())


def _of_forecasts(target: Array, answers: Array, last: Array) -> dict[str, float]:
    errors = target - answers
    simple = float(np.abs(target - last.reshape(-1, 1)).mean())
    mae = float(np.abs(errors).mean())
    return {
        "skill": 1.0 - mae / simple if simple > 0 else 0.0,
        "mae": mae,
        "rmse": float(np.sqrt(np.mean(errors**2))),
    }


def per_class(labels: Array, target: Array, classes: Array) -> dict[str, dict[str, float]]:
    """Precision, recall, F1 and the number of rows for each class."""
    from sklearn.metrics import precision_recall_fscore_support  # noqa: PLC0415 (heavy)

    figures = precision_recall_fscore_support(target, labels, labels=classes, zero_division=0.0)
    names = ("precision", "recall", "f1", "rows")
    return {
        str(label): {name: float(values[place]) for name, values in zip(names, figures, strict=True)}
        for place, label in enumerate(classes)
    }


def baseline(train: Array, target: Array, task: str, quantiles: tuple[float, ...] = ()) -> dict[str, Any]:
    """What the laziest answer would score: always the commonest class, or the mean."""
    if task == CLASSIFICATION:
        classes, counts = np.unique(train, return_counts=True)
        return {"accuracy": float(np.mean(target == classes[counts.argmax()]))}
    if task == MULTILABEL:
        commonest = (train.mean(axis=0) >= 0.5).astype(np.int64)
        return {"accuracy": float(np.mean((target == commonest).all(axis=1)))}
    if task == QUANTILE:
        guesses = np.broadcast_to(np.quantile(train, quantiles), (len(target), len(quantiles)))
        return {"pinball": pinball(target, guesses, quantiles), "skill": 0.0}
    if task == FORECASTING:
        return {"skill": 0.0}
    return _of_numbers(target, np.full(len(target), train.mean()))
