"""A described CatBoost model as ONNX nodes: the sum of its trees, then what its loss makes of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from forebay.workshop.convert.sources.catboost_model import EXPONENTIAL, Described
from forebay.workshop.convert.tabular import LABEL, PREDICTION, PROBABILITIES
from forebay.workshop.convert.tree_nodes import Nodes


def nodes_for(
    model: Described, x: str, outputs: Mapping[str, str], classes: Sequence[Any], prefix: str = ""
) -> list[Any]:
    """Nodes from the float32 matrix *x* to *outputs*, which are the names of what there is to be.

    That is `prediction` [rows, groups], or `label` [rows] (of *classes*) and `probabilities` [rows, classes].
    """
    nodes = Nodes(prefix)
    raw = nodes.forest(x, [(0, tree) for tree in model.trees], model.base)
    if PREDICTION in outputs:
        nodes.add("Exp" if model.loss in EXPONENTIAL else "Identity", [raw], outputs[PREDICTION])
        return nodes.made
    if len(model.base) == 1:
        scores = nodes.both_sides(nodes.add("Sigmoid", [raw]), outputs[PROBABILITIES])
    elif model.loss == "MultiClassOneVsAll":
        scores = nodes.add("Sigmoid", [raw], outputs[PROBABILITIES])
    else:
        scores = nodes.add("Softmax", [raw], outputs[PROBABILITIES], axis=1)
    nodes.best_label(scores, classes, outputs[LABEL])
    return nodes.made
