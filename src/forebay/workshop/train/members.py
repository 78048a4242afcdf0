"""One member of a model: what its estimator needs before it, and the heads that answer."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from forebay.core import Array
from forebay.core.errors import Unsupported
from forebay.workshop.train.estimators import CLASSES, NUMBERS, QUANTILES, Asked, Estimator
from forebay.workshop.train.features import at_most, features_of, preparation_for
from forebay.workshop.train.preparing import Prepared
from forebay.workshop.train.recipe import (
    CLASSIFICATION,
    FORECASTING,
    MULTILABEL,
    QUANTILE,
    REGRESSION,
    Recipe,
)

KINDS = {
    CLASSIFICATION: CLASSES,
    MULTILABEL: CLASSES,
    REGRESSION: NUMBERS,
    FORECASTING: NUMBERS,
    QUANTILE: QUANTILES,
}
"""What kind of head each task asks for."""


class Member:
    """An estimator with its parameters: rows in, one float a class, a label or a number out."""

    def __init__(
        self,
        estimator: Estimator,
        params: dict[str, Any],
        prepared: Prepared,
        recipe: Recipe,
        watch: Any = None,
        allotted_s: float = math.inf,
    ) -> None:
        self.estimator, self.params = estimator, params
        self._prepared, self._recipe, self._watch = prepared, recipe, watch
        self._allotted_s = allotted_s
        self.preparation: Any = None
        self.heads: list[Any] = []
        self.codes: list[Array] = []
        self.width = 0

    def fit(self, rows: Any, target: Array) -> Member:
        """Learn from *rows*; *target* holds codes of classes, 0/1 labels, or numbers, a column a head."""
        task = self._prepared.facts.task
        self.preparation = preparation_for(self.estimator, self._prepared)
        if task == FORECASTING:
            rows, target = from_last(rows), target - rows[:, -1:]
        features = rows
        if self.preparation is not None:
            features = features_of(self.preparation.fit_transform(rows), sparse=self.estimator.sparse)
        self.width = features.shape[1]
        targets = target.reshape(len(target), -1)
        shares = self._recipe.quantiles if task == QUANTILE else tuple(range(targets.shape[1]))
        self._allotted_s /= len(shares)
        for place, share in enumerate(shares):
            column = targets[:, 0 if task == QUANTILE else place]
            self._fit_head(features, column, share if task == QUANTILE else 0.5)
        return self

    def fit_stream(
        self, rows: Any, target: Array, streamed: Callable[[], Iterable[tuple[Any, Array]]]
    ) -> Member:
        """Learn from *rows*, then from all that *streamed* gives, row by row; in one pass unless told."""
        self.preparation = preparation_for(self.estimator, self._prepared)
        features = rows
        if self.preparation is not None:
            features = features_of(self.preparation.fit_transform(rows), sparse=False)
        self.width = features.shape[1]
        kind, order = KINDS[self._prepared.facts.task], np.random.default_rng(self._recipe.seed)
        head = self.estimator.make(kind, Asked(self._recipe.seed, self.params))
        if kind == CLASSES:
            self.codes.append(np.arange(self.classes))
            head.begin(self.width, self.classes)
        else:
            head.centre, head.spread = float(target.mean()), float(target.std()) or 1.0
            head.begin(self.width, 1)
        weigh = _weigher(target) if kind == CLASSES and self._recipe.class_weights else lambda _codes: None
        for _ in range(int(self.params.get("passes", 1))):
            shuffled = order.permutation(len(target))
            head.learn(features[shuffled], target[shuffled], weigh(target[shuffled]))
            for part, told in streamed():
                if self.preparation is not None:
                    part = features_of(self.preparation.transform(part), sparse=False)  # noqa: PLW2901 (prepared)
                head.learn(part, told, weigh(told))
        self.heads.append(head.finish())
        return self

    def _fit_head(self, features: Any, target: Array, quantile: float) -> None:
        kind = KINDS[self._prepared.facts.task]
        image = self._prepared.facts.image
        asked = Asked(self._recipe.seed, self.params, quantile, image, self._watch, self._allotted_s)
        weight = None
        if kind == CLASSES:
            present, target = np.unique(target, return_inverse=True)
            self.codes.append(present)
            if len(present) == 1:
                self.heads.append(Constant(1.0))
                return
            weight = _balanced(target) if self._recipe.class_weights else None
        head = self.estimator.make(kind, asked)
        head.fit(features, target, **({} if weight is None else {"sample_weight": weight}))
        _round_thresholds(head)
        self.heads.append(head)

    def answers(self, rows: Any) -> Array:
        """Float64 [rows, answers]: probabilities of all classes, of each label, or numbers."""
        task, facts = self._prepared.facts.task, self._prepared.facts
        features = from_last(rows) if task == FORECASTING else rows
        if self.preparation is not None:
            features = features_of(self.preparation.transform(features), sparse=self.estimator.sparse)
        if task == CLASSIFICATION:
            return spread(self.heads[0].predict_proba(features), self.codes[0], len(facts.classes))
        if task == MULTILABEL:
            pairs = zip(self.heads, self.codes, strict=True)
            return np.column_stack(
                [spread(head.predict_proba(features), codes, 2)[:, 1] for head, codes in pairs]
            )
        told = np.column_stack([np.asarray(head.predict(features), np.float64) for head in self.heads])
        return told + rows[:, -1:] if task == FORECASTING else told

    @property
    def task(self) -> str:
        """What it is for."""
        return self._prepared.facts.task

    @property
    def classes(self) -> int:
        """How many classes there are."""
        return len(self._prepared.facts.classes)

    @property
    def precision(self) -> str:
        """What its network computed in while it learnt; empty where there is none."""
        return next((str(head.precision) for head in self.heads if hasattr(head, "precision")), "")

    @property
    def curve(self) -> list[dict[str, float]]:
        """Loss by epoch, where the estimator tells it."""
        return next((list(head.curve) for head in self.heads if hasattr(head, "curve")), [])


def from_last(rows: Array) -> Array:
    """Each row's values less its last one: a forecaster learns changes, and so follows a trend."""
    return np.asarray(rows - rows[:, -1:])


class Constant:
    """The head of a label that is the same in every row it was fitted on."""

    def __init__(self, value: float) -> None:
        self.value = value

    def predict_proba(self, rows: Any) -> Array:
        """Certain, for every row."""
        return np.full((rows.shape[0], 1), self.value)


def spread(told: Any, codes: Array, classes: int) -> Array:
    """Probabilities of the classes that were fitted, in the places of all classes."""
    told = np.asarray(told, dtype=np.float64)
    if told.shape[1] != len(codes):
        raise Unsupported(f"the estimator answers {told.shape[1]} classes, but learnt {len(codes)}")
    placed = np.zeros((len(told), classes))
    placed[:, codes.astype(np.int64)] = told
    return placed


def _weigher(target: Array) -> Callable[[Array], Array]:
    """Gives weights with which every class counts alike, by how many rows of each there are in *target*."""
    counts = np.maximum(np.bincount(target), 1)
    return lambda codes: np.asarray(len(target) / (len(counts) * counts[np.minimum(codes, len(counts) - 1)]))


def _balanced(codes: Array) -> Array:
    """Weights with which every class counts alike."""
    counts = np.bincount(codes)
    return np.asarray(len(codes) / (len(counts) * counts[codes]))


def _round_thresholds(head: Any) -> None:
    """Give scikit-learn's boosted trees thresholds that float32 has, as the served model will.

    A float32 is at most a threshold exactly when it is at most the largest float32 that is; so no
    answer to float32 rows changes, and the rounding to the nearest one cannot push a row over.
    """
    for iteration in getattr(head, "_predictors", ()):
        for tree in iteration:
            tree.nodes["num_threshold"] = at_most(tree.nodes["num_threshold"])
