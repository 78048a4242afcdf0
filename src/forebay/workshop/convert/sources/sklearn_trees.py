"""A tree of scikit-learn as ONNX keeps it, all nodes at once: one by one, a forest takes seconds."""

from __future__ import annotations

from typing import Any

import numpy as np

from forebay.core import Array

_BRANCH, _LEAF = "BRANCH_LEQ", "LEAF"


def add_tree(
    attr_pairs: dict[str, Any],
    is_classifier: bool,
    tree: Any,
    tree_id: int,
    tree_weight: float,
    weight_id_bias: int,
    leaf_weights_are_counts: bool,
    adjust_threshold_for_sklearn: bool = False,
    dtype: Any = None,
) -> None:
    """Add the nodes of *tree* to *attr_pairs*: skl2onnx's own words and order, and the same values."""
    left, right, count = tree.children_left, tree.children_right, int(tree.node_count)
    nodes = np.arange(count)
    branches = (left > nodes) | (right > nodes)
    thresholds = np.where(branches, tree.threshold, 0.0)
    if adjust_threshold_for_sklearn:
        thresholds[branches] = _thresholds(thresholds[branches], dtype)
    for name, values in (
        ("treeids", [tree_id] * count),
        ("nodeids", nodes.tolist()),
        ("featureids", np.where(branches, tree.feature, 0).tolist()),
        ("modes", np.where(branches, _BRANCH, _LEAF).tolist()),
        ("values", thresholds.tolist()),
        ("truenodeids", np.where(branches, left, 0).tolist()),
        ("falsenodeids", np.where(branches, right, 0).tolist()),
        ("missing_value_tracks_true", [0] * count),
        ("hitrates", [1.0] * count),
    ):
        attr_pairs[f"nodes_{name}"].extend(values)
    weights = _weights(tree.value[~branches], tree_weight, counted=leaf_weights_are_counts)
    if is_classifier and weights.shape[1] == 2:
        weights = weights[:, 1:]
    leaves, answers = weights.shape
    kept = "class" if is_classifier else "target"
    attr_pairs[f"{kept}_treeids"].extend([tree_id] * (leaves * answers))
    attr_pairs[f"{kept}_nodeids"].extend(np.repeat(nodes[~branches], answers).tolist())
    attr_pairs[f"{kept}_ids"].extend(list(range(weight_id_bias, weight_id_bias + answers)) * leaves)
    attr_pairs[f"{kept}_weights"].extend(weights.ravel().tolist())


def _weights(values: Array, tree_weight: float, *, counted: bool) -> Array:
    """What each leaf says, [leaves, answers]."""
    flat = values.reshape(len(values), -1)
    if not counted:
        return np.asarray(flat * tree_weight)
    sums = flat.sum(axis=1, keepdims=True)
    return np.asarray(flat * (tree_weight / np.where(sums == 0.0, 1.0, sums)))


def _thresholds(values: Array, dtype: Any) -> Array:
    """The numbers that split inputs of *dtype* as scikit-learn does, which compares float32 to float64."""
    from skl2onnx.common.tree_ensemble import sklearn_threshold  # noqa: PLC0415 (heavy)

    if dtype != np.float32:
        return np.array([sklearn_threshold(value, dtype, _BRANCH) for value in values])
    near = values.astype(np.float32)
    return np.where(near > values, np.nextafter(near, np.float32(-np.inf)), near).astype(np.float64)
