"""A fitted model: one member or several with weights, and the answers that people see."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from forebay.core import Array, Tensors
from forebay.workshop.train.members import Member
from forebay.workshop.train.recipe import CLASSIFICATION, MULTILABEL, QUANTILE

LEAST = 1e-7


class Fitted:
    """What a training fits: f(x) = Σ w_i f_i(x), calibrated, with scikit-learn's manners.

    The weights add up to one. `temperature` softens probabilities above 1 and sharpens them below
    (Guo et al., 2017); it changes no label. `classes_` are the target's values, or a multilabel
    task's labels.
    """

    def __init__(
        self,
        task: str,
        members: Sequence[Member],
        weights: Sequence[float],
        classes: Array,
        temperature: float = 1.0,
    ) -> None:
        self.task, self.members, self.weights = task, tuple(members), tuple(weights)
        self.classes_, self.temperature = classes, temperature

    def answers(self, rows: Any) -> Array:
        """Float64 [rows, answers], calibrated: what scores are made of."""
        told = sum(
            weight * member.answers(rows) for weight, member in zip(self.weights, self.members, strict=True)
        )
        return finished(np.asarray(told), self.task, self.temperature)

    def predict_proba(self, rows: Any) -> Array:
        """Probabilities [rows, classes]; of a multilabel task each label's own."""
        return self.answers(rows)

    def predict(self, rows: Any) -> Array:
        """Classes [rows], 0/1 [rows, labels], or numbers [rows] or [rows, answers]."""
        return shown(self.answers(rows), self.task, self.classes_)

    def tensors(self, rows: Any) -> Tensors:
        """The same as the served model's outputs."""
        answers = self.answers(rows)
        told = shown(answers, self.task, self.classes_)
        if self.task in (CLASSIFICATION, MULTILABEL):
            return {"label": told, "probabilities": answers.astype(np.float32)}
        return {"prediction": answers.astype(np.float32)}

    @property
    def curve(self) -> list[dict[str, float]]:
        """Loss by epoch of the weightiest member that tells it."""
        ranked = sorted(zip(self.weights, self.members, strict=True), key=lambda pair: -pair[0])
        return next((member.curve for _, member in ranked if member.curve), [])


def finished(told: Array, task: str, temperature: float) -> Array:
    """Answers after the sum: probabilities calibrated, quantiles in their order."""
    if task == QUANTILE:
        return np.sort(told, axis=1)
    if task == CLASSIFICATION and temperature != 1.0:
        return calibrated(told, temperature)
    return told


def calibrated(probabilities: Array, temperature: float) -> Array:
    """softmax(log(p) / temperature)."""
    logits = np.log(np.maximum(probabilities, LEAST)) / temperature
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))


def shown(answers: Array, task: str, classes: Array) -> Array:
    """What a person reads out of answers: the likeliest class, the labels that are likelier than not."""
    if task == CLASSIFICATION:
        return np.asarray(classes[answers.argmax(axis=1)])
    if task == MULTILABEL:
        return np.asarray((answers >= 0.5).astype(np.int64))
    return answers[:, 0] if answers.shape[1] == 1 else answers
