"""An isolation forest as one operator: its leaves hold the lengths of the ways to them (Liu et al., 2008)."""

from __future__ import annotations

from typing import Any

import numpy as np

from forebay.core import Array
from forebay.workshop.train.features import at_most
from forebay.workshop.train.graphs import Canvas


def strangeness(canvas: Canvas, forest: Any, features: str) -> str:
    """How strange each row of *features* is, float32 [rows, 1]: above 0 it is an anomaly.

    2 ** (-mean way / expected way) + offset. skl2onnx writes the same as forty operators a tree, which
    take seconds to load and milliseconds to run.
    """
    grown = [_tree(forest, place) for place in range(len(forest.estimators_))]
    joined = {name: np.concatenate([tree[name] for tree in grown]) for name in grown[0]}
    leaves = joined["leaf"]
    ways = canvas.op_of(
        "ai.onnx.ml",
        "TreeEnsembleRegressor",
        features,
        n_targets=1,
        nodes_treeids=joined["tree"].tolist(),
        nodes_nodeids=joined["node"].tolist(),
        nodes_featureids=joined["feature"].tolist(),
        nodes_values=joined["threshold"].tolist(),
        nodes_modes=["LEAF" if leaf else "BRANCH_LEQ" for leaf in leaves],
        nodes_truenodeids=joined["left"].tolist(),
        nodes_falsenodeids=joined["right"].tolist(),
        target_treeids=joined["tree"][leaves].tolist(),
        target_nodeids=joined["node"][leaves].tolist(),
        target_ids=[0] * int(leaves.sum()),
        target_weights=joined["way"][leaves].tolist(),
    )
    expected = len(grown) * _expected_way(forest.max_samples_)
    power = canvas.op("Mul", ways, canvas.constant(np.float32(-1.0 / expected)))
    share = canvas.op("Pow", canvas.constant(np.float32(2.0)), power)
    return canvas.op("Add", share, canvas.constant(np.float32(forest.offset_)))


def _tree(forest: Any, place: int) -> dict[str, Array]:
    tree, features = forest.estimators_[place].tree_, forest.estimators_features_[place]
    leaf = tree.children_left == -1
    depths = _depths(tree.children_left, tree.children_right)
    ways = depths + np.array([_expected_way(int(rows)) for rows in tree.n_node_samples])
    return {
        "tree": np.full(tree.node_count, place),
        "node": np.arange(tree.node_count),
        "feature": np.where(leaf, 0, features[np.maximum(tree.feature, 0)]),
        "threshold": np.where(leaf, np.float32(0), at_most(tree.threshold)),
        "left": np.where(leaf, 0, tree.children_left),
        "right": np.where(leaf, 0, tree.children_right),
        "leaf": leaf,
        "way": ways.astype(np.float32),
    }


def _depths(left: Array, right: Array) -> Array:
    """Of each node, how many steps it is from the root; children stand after their parents."""
    depths = np.zeros(len(left))
    for node in range(len(left)):
        if left[node] != -1:
            depths[left[node]] = depths[right[node]] = depths[node] + 1
    return depths


def _expected_way(rows: int) -> float:
    """The mean length of an unsuccessful search in a binary tree of so many rows."""
    if rows <= 1:
        return 0.0
    if rows == 2:
        return 1.0
    return float(2.0 * (np.log(rows - 1.0) + np.euler_gamma) - 2.0 * (rows - 1.0) / rows)
