"""Trees that learn from the original, whatever it is: on tables smaller and quicker than most networks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from forebay.core import Array, DataType
from forebay.core.errors import Unsupported
from forebay.core.extras import need
from forebay.workshop.compress.drafts import Bench, Draft, label_of, scores_of
from forebay.workshop.compress.learning import Lessons
from forebay.workshop.compress.steps.layers import Layers
from forebay.workshop.compress.steps.students import (
    ALPHA,
    gives_shares,
    labels,
    one_input,
    reshaped,
    with_mixtures,
)
from forebay.workshop.convert.tree_nodes import Leaf, Split, Tree

_FEWEST_IN_LEAF = 2
_MOST_OUTPUTS = 100
_TINY = 1e-6


def tree_student(trees: int, leaves: int) -> Callable[[Draft, Bench], Draft]:
    """*trees* trees of at most so many *leaves*, each leaf with a share for every class, or with numbers.

    They are fitted to a mean of what the original says and of the truth; a forest's are drawn as Breiman
    (2001) does, and answer with their mean.
    """

    def make(_draft: Draft, bench: Bench) -> Draft:
        given, scores = one_input(bench.info), scores_of(bench.info)
        if len(given.shape) != 2:
            raise Unsupported("its rows are no table of columns")
        if scores is None or scores.datatype is not DataType.FP32 or len(bench.info.signature.outputs) > 2:
            raise Unsupported("trees answer labels and one tensor of FP32; this model answers otherwise")
        lessons = with_mixtures(Lessons.of(bench), bench)
        targets = _targets(lessons)
        if targets.shape[1] > _MOST_OUTPUTS:
            raise Unsupported(f"{targets.shape[1]} numbers in each leaf make no small trees")
        fitted = _fitted(lessons.inputs[given.name], targets, trees, leaves, bench.seed)
        layers = Layers(np.random.default_rng(bench.seed), given.shape[1])
        here = layers.forest(
            given.name, [(0, _tree(each, 1 / len(fitted))) for each in fitted], targets.shape[1]
        )
        _answering(layers, here, bench, lessons)
        return Draft(layers.graph(given, bench.info.signature.outputs))

    return make


def _targets(lessons: Lessons) -> Array:
    """What leaves are the means of: [rows, classes] or [rows, numbers]."""
    said = lessons.values if lessons.shares is None else lessons.shares
    assert said is not None
    if lessons.right is None:
        return said
    right = lessons.right if lessons.shares is None else np.eye(said.shape[1])[lessons.right]
    return ALPHA * said + (1 - ALPHA) * right.reshape(said.shape)


def _fitted(rows: Array, targets: Array, trees: int, leaves: int, seed: int) -> list[Any]:
    ensemble = need("sklearn.ensemble", "sklearn")
    if targets.shape[1] == 1:
        targets = targets.reshape(-1)
    common = {"max_leaf_nodes": leaves, "min_samples_leaf": _FEWEST_IN_LEAF, "random_state": seed}
    if trees == 1:
        return [need("sklearn.tree", "sklearn").DecisionTreeRegressor(**common).fit(rows, targets)]
    forest = ensemble.RandomForestRegressor(trees, max_features="sqrt", n_jobs=1, **common)
    found: list[Any] = forest.fit(rows, targets).estimators_
    return found


def _tree(fitted: Any, weight: float) -> Tree:
    """One of scikit-learn's as nodes, its leaves weighed."""
    tree = fitted.tree_
    values = tree.value.reshape(tree.node_count, -1) * weight
    return [
        Leaf(values[place])
        if tree.children_left[place] < 0
        else Split(
            feature=int(tree.feature[place]),
            mode="BRANCH_LEQ",
            value=float(tree.threshold[place]),
            codes=(),
            yes=int(tree.children_left[place]),
            no=int(tree.children_right[place]),
            missing_is_yes=bool(tree.missing_go_to_left[place]),
        )
        for place in range(tree.node_count)
    ]


def _answering(layers: Layers, here: str, bench: Bench, lessons: Lessons) -> None:
    """The same outputs as the original's, by the same names."""
    scores, label = scores_of(bench.info), label_of(bench.info)
    assert scores is not None
    if lessons.shares is None:
        reshaped(layers, here, scores)
        return
    if gives_shares(bench.info, scores):
        layers.node("Identity", here, name=scores.name)
    else:
        layers.node(
            "Log",
            layers.node("Max", here, layers.constant(np.array(_TINY, dtype=np.float32))),
            name=scores.name,
        )
    if label is not None:
        classes = lessons.shares.shape[1]
        labels(layers, here, label, scores.columns or tuple(map(str, range(classes))))
