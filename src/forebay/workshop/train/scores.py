"""How good answers are. Every figure is a plain float."""

from __future__ import annotations

from typing import Any

import numpy as np

from forebay.core import Array
from forebay.workshop.train.recipe import CLASSIFICATION

PRIMARY = {"classification": "macro_f1", "regression": "r2"}
"""What `auto` chooses by: classes count alike however rare; the share of the variance explained."""

MEANING = {
    "accuracy": "share of right labels",
    "macro_f1": "F1 of each class, averaged: every class counts alike",
    "auc": "chance that a right class gets more probability than a wrong one",
    "log_loss": "how surprised the probabilities are by the truth; less is better",
    "r2": "share of the variance explained; 0 is as good as always saying the mean",
    "rmse": "root of the mean squared error, in the target's unit",
    "mae": "mean absolute error, in the target's unit",
}


def score(model: Any, rows: Any, target: Array, task: str) -> dict[str, float]:
    """All figures of a fitted *model* on these rows."""
    if task == CLASSIFICATION:
        return _of_classes(model.classes_, target, model.predict(rows), model.predict_proba(rows))
    return _of_numbers(target, np.asarray(model.predict(rows), dtype=np.float64))


def _of_classes(classes: Array, target: Array, labels: Array, probabilities: Array) -> dict[str, float]:
    from sklearn import metrics  # noqa: PLC0415 (heavy)

    probabilities = probabilities.astype(np.float64)
    probabilities /= probabilities.sum(axis=1, keepdims=True)  # float32 sums to almost one
    figures = {
        "accuracy": float(np.mean(labels == target)),
        "macro_f1": metrics.f1_score(
            target, labels, labels=np.unique(target), average="macro", zero_division=0.0
        ),
        "log_loss": metrics.log_loss(target, probabilities, labels=classes),
    }
    if len(np.unique(target)) == len(classes):  # otherwise it is not defined
        binary = len(classes) == 2
        told = probabilities[:, 1] if binary else probabilities
        figures["auc"] = metrics.roc_auc_score(target, told, multi_class="ovr", labels=classes)
    return {name: float(value) for name, value in figures.items()}


def _of_numbers(target: Array, predicted: Array) -> dict[str, float]:
    errors = target - predicted
    spread = float(np.sum((target - target.mean()) ** 2))
    return {
        "r2": 1.0 - float(np.sum(errors**2)) / spread if spread > 0 else 0.0,
        "rmse": float(np.sqrt(np.mean(errors**2))),
        "mae": float(np.mean(np.abs(errors))),
    }


def per_class(model: Any, rows: Any, target: Array) -> dict[str, dict[str, float]]:
    """Precision, recall, F1 and the number of rows for each class."""
    from sklearn.metrics import precision_recall_fscore_support  # noqa: PLC0415 (heavy)

    classes = model.classes_
    figures = precision_recall_fscore_support(target, model.predict(rows), labels=classes, zero_division=0.0)
    names = ("precision", "recall", "f1", "rows")
    return {
        str(label): {name: float(values[place]) for name, values in zip(names, figures, strict=True)}
        for place, label in enumerate(classes)
    }


def baseline(train: Array, target: Array, task: str) -> dict[str, float]:
    """What the laziest answer would score: always the commonest class, or the mean."""
    if task == CLASSIFICATION:
        classes, counts = np.unique(train, return_counts=True)
        return {"accuracy": float(np.mean(target == classes[counts.argmax()]))}
    return _of_numbers(target, np.full(len(target), train.mean()))
