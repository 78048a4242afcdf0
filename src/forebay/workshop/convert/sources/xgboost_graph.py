"""A described XGBoost model as ONNX nodes: the sum of its trees, then what its objective makes of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from forebay.workshop.convert.sources.xgboost_model import EXPONENTIAL, LOGISTIC, MULTICLASS, Described
from forebay.workshop.convert.tabular import LABEL, PREDICTION, PROBABILITIES
from forebay.workshop.convert.tree_nodes import Leaf, Nodes, Split


def nodes_for(model: Described, x: str, outputs: Mapping[str, str], prefix: str = "") -> list[Any]:
    """Nodes from the float32 matrix *x* to *outputs*, which are the names of what there is to be.

    That is `prediction` [rows, groups], or `label` int64 [rows] and `probabilities` [rows, classes].
    """
    nodes = Nodes(prefix)
    margin = _linear(nodes, model, x) if model.linear is not None else _trees(nodes, model, x)
    if PREDICTION in outputs:
        nodes.add("Identity", [_transformed(nodes, model, margin)], outputs[PREDICTION])
        return nodes.made
    if model.objective in MULTICLASS:
        scores = nodes.add("Softmax", [margin], outputs[PROBABILITIES], axis=1)
    else:
        scores = nodes.both_sides(_transformed(nodes, model, margin), outputs[PROBABILITIES])
    nodes.best_label(scores, range(max(model.groups, 2)), outputs[LABEL])
    return nodes.made


def _transformed(nodes: Nodes, model: Described, margin: str) -> str:
    if model.objective in LOGISTIC:
        return nodes.add("Sigmoid", [margin])
    if model.objective in EXPONENTIAL:
        return nodes.add("Exp", [margin])
    if model.objective == "binary:hinge":
        above = nodes.add("Greater", [margin, nodes.constant(np.array([0], np.float32))])
        return nodes.add("Cast", [above], to=1)
    return margin


def _linear(nodes: Nodes, model: Described, x: str) -> str:
    assert model.linear is not None
    missing = nodes.add("IsNaN", [x])  # a linear booster passes over what is missing
    present = nodes.add("Where", [missing, nodes.constant(np.float32(0)), x])
    product = nodes.add("MatMul", [present, nodes.constant(model.linear[:-1])])
    return nodes.add("Add", [product, nodes.constant(model.linear[-1] + model.base)])


def _trees(nodes: Nodes, model: Described, x: str) -> str:
    trees = ((group, list(_tree(tree, weight))) for group, weight, tree in model.trees)
    return nodes.forest(x, trees, model.base)


def _tree(tree: dict[str, Any], weight: float) -> Iterator[Split | Leaf]:
    sets = _sets(tree)
    for node, left in enumerate(tree["left_children"]):
        right, default_left = tree["right_children"][node], bool(tree["default_left"][node])
        feature, value = tree["split_indices"][node], tree["split_conditions"][node]
        if left == -1:
            yield Leaf([float(np.float32(value) * np.float32(weight))])
        elif node in sets:  # who is in the set goes right
            yield Split(feature, "BRANCH_EQ", 0.0, sets[node], right, left, missing_is_yes=not default_left)
        else:
            yield Split(feature, "BRANCH_LT", value, (), left, right, missing_is_yes=default_left)


def _sets(tree: dict[str, Any]) -> dict[int, list[int]]:
    """For each node that splits by categories, the codes that go right."""
    parts = zip(tree["categories_nodes"], tree["categories_segments"], tree["categories_sizes"], strict=True)
    return {node: tree["categories"][start : start + size] for node, start, size in parts}
