"""scikit-learn's histogram boosters as ONNX nodes: thresholds keep what they say to numbers of float64.

skl2onnx 1.20 knows them in float32 only, and then rows cross a threshold where steps before them compute in
float64: a bin's edge is often the very number that a row has.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from forebay.workshop.convert.tabular import LABEL, PREDICTION, PROBABILITIES
from forebay.workshop.convert.tree_nodes import Leaf, Nodes, Split

_LINKS = {
    "HalfBinomialLoss": "Sigmoid",
    "HalfMultinomialLoss": "Softmax",
    "HalfSquaredError": "Identity",
    "AbsoluteError": "Identity",
    "PinballLoss": "Identity",
    "HalfPoissonLoss": "Exp",
    "HalfGammaLoss": "Exp",
}
_CATEGORIES = "its categorical_features have no place in ONNX; put a OneHotEncoder before it, and fit again"


def nodes_for(
    model: Any, x: str, outputs: Mapping[str, str], prefix: str = "", *, raw_scores: bool = False
) -> list[Any]:
    """Nodes from the float32 matrix *x* to *outputs*, which are the names of what there is to be.

    That is `prediction` [rows, 1], or `label` [rows] and `probabilities` [rows, classes]; with *raw_scores*
    these are what `decision_function` says, of two classes with both signs.
    """
    if model._preprocessor is not None:  # noqa: SLF001 (no public way)
        raise NotImplementedError(_CATEGORIES)
    nodes = Nodes(prefix)
    margin = nodes.forest(x, _trees(model), np.ravel(model._baseline_prediction))  # noqa: SLF001 (no public way)
    link = "Identity" if raw_scores else _link(model)
    axis: dict[str, Any] = {"axis": 1} if link == "Softmax" else {}
    answer = nodes.add(link, [margin], **axis)
    if PREDICTION in outputs:
        nodes.add("Identity", [answer], outputs[PREDICTION])
        return nodes.made
    if model.n_trees_per_iteration_ > 1:
        scores = nodes.add("Identity", [answer], outputs[PROBABILITIES])
    elif raw_scores:
        sides = [nodes.add("Neg", [answer]), answer]
        scores = nodes.add("Concat", sides, outputs[PROBABILITIES], axis=1)
    else:
        scores = nodes.both_sides(answer, outputs[PROBABILITIES])
    nodes.best_label(scores, model.classes_.tolist(), outputs[LABEL])
    return nodes.made


def _link(model: Any) -> str:
    loss = type(model._loss).__name__  # noqa: SLF001 (no public way)
    if loss not in _LINKS:
        raise NotImplementedError(
            f"the loss {loss} has no place in ONNX; fit with one that scikit-learn names"
        )
    return _LINKS[loss]


def _trees(model: Any) -> Iterator[tuple[int, Sequence[Split | Leaf]]]:
    for iteration in model._predictors:  # noqa: SLF001 (no public way)
        for group, tree in enumerate(iteration):
            yield group, list(map(_node, tree.nodes))


def _node(node: Any) -> Split | Leaf:
    if node["is_leaf"]:
        return Leaf([float(node["value"])])
    return Split(
        int(node["feature_idx"]),
        "BRANCH_LEQ",
        nearest(float(node["num_threshold"])),
        (),
        int(node["left"]),
        int(node["right"]),
        missing_is_yes=bool(node["missing_go_to_left"]),
    )


def nearest(threshold: float) -> float:
    """The float32 that keeps what *threshold* says: numbers equal to it stay on its lower side.

    Half-way between two floats it is the lower, for such a threshold lies between two rows of float32.

    >>> float(np.float32(0.1)) > 0.1 and nearest(0.1) == float(np.float32(0.1))
    True
    >>> low, high = np.float32(1), np.nextafter(np.float32(1), np.float32(2))
    >>> nearest((float(low) + float(high)) / 2) == float(low)
    True
    """
    bound = float(np.finfo(np.float32).max)
    near = np.float32(min(max(threshold, -bound), bound))
    below = np.nextafter(near, np.float32(-np.inf))
    return float(below if float(near) - threshold == threshold - float(below) else near)
