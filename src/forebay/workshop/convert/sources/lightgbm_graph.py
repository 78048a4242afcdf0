"""A described LightGBM model as ONNX nodes: the sum of its trees, then what its objective makes of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from forebay.workshop.convert.sources.lightgbm_model import Described
from forebay.workshop.convert.tabular import LABEL, PREDICTION, PROBABILITIES
from forebay.workshop.convert.tree_nodes import Nodes

_ONE_OPERATOR = {
    "cross_entropy": "Sigmoid",
    "cross_entropy_lambda": "Softplus",
    **dict.fromkeys(("poisson", "gamma", "tweedie"), "Exp"),
}
MULTICLASS = frozenset({"multiclass", "multiclassova"})
_ZERO = np.float32(1e-35)  # LightGBM's kZeroThreshold


def nodes_for(
    model: Described,
    x: str,
    outputs: Mapping[str, str],
    classes: Sequence[Any],
    prefix: str = "",
    *,
    raw_scores: bool = False,
) -> list[Any]:
    """Nodes from the float32 matrix *x* to *outputs*, which are the names of what there is to be.

    That is `prediction` [rows, groups], or `label` [rows] (of *classes*) and `probabilities` [rows, classes];
    with *raw_scores* these are what `decision_function` says, of two classes with both signs.
    """
    nodes = Nodes(prefix)
    if model.zero_is_missing:
        small = nodes.add("LessOrEqual", [nodes.add("Abs", [x]), nodes.constant(_ZERO)])
        x = nodes.add("Where", [small, nodes.constant(np.float32(np.nan)), x])
    raw = nodes.forest(x, model.trees, np.zeros(model.groups, np.float32))
    answer = raw if raw_scores else _transformed(nodes, model, raw)
    if PREDICTION in outputs:
        nodes.add("Identity", [answer], outputs[PREDICTION])
    elif model.groups == 1:
        if raw_scores:
            sides = [nodes.add("Neg", [answer]), answer]
            scores = nodes.add("Concat", sides, outputs[PROBABILITIES], axis=1)
        else:
            scores = nodes.both_sides(answer, outputs[PROBABILITIES])
        nodes.best_label(scores, classes, outputs[LABEL])
    else:
        scores = nodes.add("Identity", [answer], outputs[PROBABILITIES])
        nodes.best_label(scores, classes, outputs[LABEL])
    return nodes.made


def _transformed(nodes: Nodes, model: Described, raw: str) -> str:
    objective = model.objective
    if objective in ("binary", "multiclassova"):
        slope = nodes.constant(np.array([float(model.options.get("sigmoid", 1))], np.float32))
        return nodes.add("Sigmoid", [nodes.add("Mul", [raw, slope])])
    if objective == "multiclass":
        return nodes.add("Softmax", [raw], axis=1)
    if objective in _ONE_OPERATOR:
        return nodes.add(_ONE_OPERATOR[objective], [raw])
    if "sqrt" in model.options:
        return nodes.add("Mul", [raw, nodes.add("Abs", [raw])])
    return raw
