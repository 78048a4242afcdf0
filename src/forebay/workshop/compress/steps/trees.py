"""Fewer trees: those of an ensemble that matter most, in the order in which they matter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from forebay.core import Array
from forebay.core.errors import Unsupported
from forebay.workshop.compress.drafts import Bench, Draft
from forebay.workshop.compress.graphs import attributes

_KINDS = ("TreeEnsembleClassifier", "TreeEnsembleRegressor")
_ROWS = 256


def fewer_trees(share: float) -> Callable[[Draft, Bench], Draft]:
    """Keep the *share* of the trees whose sum stays nearest to that of all of them.

    Trees are ranked by how much the ensemble's sum over the tuning rows goes along with theirs, and what is
    left is scaled so that its sum spreads as before: a forest's mean stays a mean, and a booster's sum keeps
    its size.
    """

    def make(draft: Draft, bench: Bench) -> Draft:
        proto = draft.proto()
        ensembles = [node for node in proto.graph.node if node.op_type in _KINDS]
        if len(ensembles) != 1 or len(bench.info.signature.inputs) != 1:
            raise Unsupported("it is no single ensemble of trees over one input")
        ensemble = _Ensemble(ensembles[0])
        kept = max(1, round(ensemble.count * share))
        if kept >= ensemble.count:
            raise Unsupported(f"it has {ensemble.count} trees, of which none can go")
        rows = _what_it_reads(draft, ensembles[0].input[0], bench)
        ensemble.keep(_ranked(ensemble.votes(rows))[:kept], ensemble.votes(rows))
        return draft.with_proto(proto)

    return make


def _what_it_reads(draft: Draft, name: str, bench: Bench) -> Array:
    """The tuning rows as the ensemble sees them, behind whatever prepares them."""
    import onnx  # noqa: PLC0415 (heavy)
    import onnxruntime as ort  # noqa: PLC0415 (heavy)

    rows = bench.calibration(_ROWS)
    if name in rows:
        return rows[name].astype(np.float32)
    proto = draft.proto()
    value = onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
    proto.graph.output.append(value)
    session = ort.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    (found,) = session.run([name], rows)
    return np.asarray(found, dtype=np.float32)


def _ranked(votes: Array) -> Array:
    """Tree numbers, the one that goes along most with the whole first; *votes* is [trees, rows, outputs]."""
    centred = votes - votes.mean(axis=1, keepdims=True)
    whole = centred.sum(axis=0)
    return np.argsort(-np.einsum("tro,ro->t", centred, whole), kind="stable")


class _Ensemble:
    """The attributes of a tree ensemble as arrays."""

    def __init__(self, node: Any) -> None:
        self._node = node
        self._about = attributes(node)
        prefix = "class" if node.op_type == _KINDS[0] else "target"
        self._prefix = prefix
        if "nodes_values" not in self._about or f"{prefix}_weights" not in self._about:
            raise Unsupported("its trees are written in a form that is not read here")
        if self._about.get("aggregate_function", b"SUM") not in (b"SUM", b"AVERAGE"):
            raise Unsupported("its trees are neither summed nor averaged")
        self._tree = np.array(self._about["nodes_treeids"])
        self._trees = np.unique(self._tree)
        self.count = len(self._trees)

    def votes(self, rows: Array) -> Array:
        """What each tree adds: [trees, rows, outputs]."""
        leaves = self._leaves(rows)
        outputs = np.array(self._about[f"{self._prefix}_ids"])
        weights = np.array(self._about[f"{self._prefix}_weights"], dtype=np.float64)
        by_node: dict[tuple[int, int], list[int]] = {}
        pairs = zip(
            self._about[f"{self._prefix}_treeids"], self._about[f"{self._prefix}_nodeids"], strict=True
        )
        for place, pair in enumerate(pairs):
            by_node.setdefault(pair, []).append(place)
        table = np.zeros((len(self._tree), int(outputs.max()) + 1))
        for place, pair in enumerate(
            zip(self._about["nodes_treeids"], self._about["nodes_nodeids"], strict=True)
        ):
            for entry in by_node.get(pair, ()):
                table[place, outputs[entry]] += weights[entry]
        return np.asarray(table[leaves])

    def _leaves(self, rows: Array) -> Array:
        """The place of the leaf that each row reaches in each tree: [trees, rows]."""
        about = self._about
        place_of = {
            pair: place
            for place, pair in enumerate(zip(about["nodes_treeids"], about["nodes_nodeids"], strict=True))
        }
        features, limits = (
            np.array(about["nodes_featureids"]),
            np.array(about["nodes_values"], dtype=np.float32),
        )
        modes = np.array(about["nodes_modes"])
        missing = np.array(about.get("nodes_missing_value_tracks_true") or [0] * len(modes), dtype=bool)
        left, right = (
            np.array(
                [place_of.get(pair, 0) for pair in zip(about["nodes_treeids"], about[name], strict=True)]
            )
            for name in ("nodes_truenodeids", "nodes_falsenodeids")
        )
        inner = modes != b"LEAF"
        _, roots = np.unique(self._tree, return_index=True)  # every converter writes a tree's root first
        here = np.repeat(roots[:, None], len(rows), axis=1)
        columns = np.arange(len(rows))[None, :]
        while inner[here].any():
            values = rows[columns, features[here]]
            true = _compared(values, limits[here], modes[here]) | (np.isnan(values) & missing[here])
            here = np.where(inner[here], np.where(true, left[here], right[here]), here)
        return here

    def keep(self, chosen: Array, votes: Array) -> None:
        """Only the trees with these numbers, scaled to the spread of all of them."""
        trees = set(self._trees[chosen].tolist())
        whole, part = votes.sum(axis=0), votes[chosen].sum(axis=0)
        scale = _slope(part, whole)
        shift = (whole - scale * part).mean(axis=0)
        for stem in ("nodes", self._prefix):
            mask = [tree in trees for tree in self._about[f"{stem}_treeids"]]
            for attribute in self._node.attribute:
                if attribute.name.startswith(f"{stem}_") and attribute.name != "class_labels":
                    _filter(attribute, mask, scale if attribute.name == f"{self._prefix}_weights" else 1.0)
        self._add_base(shift)

    def _add_base(self, shift: Array) -> None:
        """A booster's removed trees have a mean too; it becomes part of the base."""
        import onnx  # noqa: PLC0415 (heavy)

        base = np.array(self._about.get("base_values") or [0.0] * len(shift), dtype=np.float64)
        if len(base) != len(shift):
            return  # a binary classifier with one column of votes and a base of its own form
        kept = [each for each in self._node.attribute if each.name != "base_values"]
        del self._node.attribute[:]
        self._node.attribute.extend(kept)
        self._node.attribute.append(
            onnx.helper.make_attribute("base_values", [float(v) for v in base + shift])
        )


def _slope(part: Array, whole: Array) -> float:
    part, whole = part - part.mean(axis=0), whole - whole.mean(axis=0)
    return float(np.sum(part * whole) / max(float(np.sum(part * part)), 1e-12))


def _filter(attribute: Any, mask: list[bool], scale: float) -> None:
    for field in (attribute.floats, attribute.ints, attribute.strings):
        if len(field) == len(mask):
            kept = [
                value * scale if scale != 1.0 else value
                for value, keep in zip(field, mask, strict=True)
                if keep
            ]
            del field[:]
            field.extend(kept)


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
