"""A tree ensemble's node, read: its questions, its leaves, and what each tree says to rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from forebay.core import Array
from forebay.core.errors import Unsupported
from forebay.workshop.compress.drafts import Bench, Draft
from forebay.workshop.compress.graphs import attributes

KINDS = ("TreeEnsembleClassifier", "TreeEnsembleRegressor")


def ensemble_in(proto: Any, bench: Bench) -> Ensemble:
    """The one ensemble of *proto*; raises `Unsupported` where there is none, or more than that."""
    nodes = [node for node in proto.graph.node if node.op_type in KINDS]
    if len(nodes) != 1 or len(bench.info.signature.inputs) != 1:
        raise Unsupported("it is no single ensemble of trees over one input")
    return Ensemble(nodes[0])


class Ensemble:
    """The attributes of a tree ensemble as arrays, one entry a node of a tree unless said otherwise.

    `features` and `limits` are what a node asks, `modes` how; `left` and `right` are the places of those
    who answer next, `missing` whether a missing value goes left. `roots` are the places of the roots, one a
    tree. `table` is what the leaves add: [nodes, outputs], of float64.
    """

    def __init__(self, node: Any) -> None:
        self.node = node
        self.about = about = attributes(node)
        self.prefix = prefix = "class" if node.op_type == KINDS[0] else "target"
        if "nodes_values" not in about or f"{prefix}_weights" not in about:
            raise Unsupported("its trees are written in a form that is not read here")
        if about.get("aggregate_function", b"SUM") not in (b"SUM", b"AVERAGE"):
            raise Unsupported("its trees are neither summed nor averaged")
        tree = np.array(about["nodes_treeids"])
        self.trees, self.roots = np.unique(tree, return_index=True)  # every converter writes a root first
        self.count = len(self.trees)
        self.features = np.array(about["nodes_featureids"])
        self.limits = np.array(about["nodes_values"], dtype=np.float32)
        self.modes = np.array(about["nodes_modes"])
        self.missing = np.array(
            about.get("nodes_missing_value_tracks_true") or [0] * len(self.modes), dtype=bool
        )
        self.inner = self.modes != b"LEAF"
        place_of = {
            pair: place
            for place, pair in enumerate(zip(about["nodes_treeids"], about["nodes_nodeids"], strict=True))
        }
        self.left, self.right = (
            np.array(
                [place_of.get(pair, 0) for pair in zip(about["nodes_treeids"], about[name], strict=True)]
            )
            for name in ("nodes_truenodeids", "nodes_falsenodeids")
        )
        self.table = self._table(place_of)

    def _table(self, place_of: dict[tuple[int, int], int]) -> Array:
        trees, nodes, outputs, weights = (
            self.about[f"{self.prefix}_{what}"] for what in ("treeids", "nodeids", "ids", "weights")
        )
        table = np.zeros((len(self.modes), max(outputs) + 1))
        for tree, node, output, weight in zip(trees, nodes, outputs, weights, strict=True):
            table[place_of[tree, node], output] += weight
        return table

    def votes(self, rows: Array) -> Array:
        """What each tree adds: [trees, rows, outputs]."""
        return np.asarray(self.table[self._leaves(rows)])

    def _leaves(self, rows: Array) -> Array:
        """The place of the leaf that each row reaches in each tree: [trees, rows]."""
        here = np.repeat(self.roots[:, None], len(rows), axis=1)
        columns = np.arange(len(rows))[None, :]
        while self.inner[here].any():
            values = rows[columns, self.features[here]]
            true = _compared(values, self.limits[here], self.modes[here])
            true |= np.isnan(values) & self.missing[here]
            here = np.where(self.inner[here], np.where(true, self.left[here], self.right[here]), here)
        return here


def rows_read(draft: Draft, name: str, bench: Bench, most: int) -> Array:
    """At most *most* tuning rows as the ensemble sees them in *name*, behind whatever prepares them."""
    import onnx  # noqa: PLC0415 (heavy)
    import onnxruntime as ort  # noqa: PLC0415 (heavy)

    rows = bench.calibration(most)
    if name in rows:
        return rows[name].astype(np.float32)
    proto = draft.proto()
    value = onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
    proto.graph.output.append(value)
    session = ort.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    (found,) = session.run([name], rows)
    return np.asarray(found, dtype=np.float32)


def _compared(values: Array, limits: Array, modes: Array) -> Array:
    found = np.zeros(values.shape, dtype=bool)
    for mode, compare in _MODES.items():
        found |= (modes == mode) & compare(values, limits)
    return found


_MODES: dict[bytes, Callable[[Array, Array], Array]] = {
    b"BRANCH_LEQ": np.less_equal,
    b"BRANCH_LT": np.less,
    b"BRANCH_GTE": np.greater_equal,
    b"BRANCH_GT": np.greater,
    b"BRANCH_EQ": np.equal,
    b"BRANCH_NEQ": np.not_equal,
}
