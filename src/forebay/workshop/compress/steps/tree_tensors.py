"""Trees as tensors: every row walks down all trees at once, by look-ups and comparisons.

The operators of `ai.onnx.ml` know trees, and few runtimes know them; what stands here runs in any. All
trees are walked as deep as the deepest goes (Nakandala et al., OSDI 2020, call it tree traversal).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from forebay.core import Array
from forebay.core.errors import Unsupported
from forebay.workshop.compress.drafts import Bench, Draft
from forebay.workshop.compress.steps.ensemble import Ensemble, ensemble_in

_DEEPEST = 24
_MOST_BYTES = 64 << 20
_OPSET = 13
_SHARES = {b"NONE": "", b"SOFTMAX": "Softmax", b"LOGISTIC": "Sigmoid"}


def tree_tensors(draft: Draft, bench: Bench) -> Draft:
    """The single ensemble of trees in operators that every runtime has."""
    proto = draft.proto()
    if any(opset.domain == "" and opset.version < _OPSET for opset in proto.opset_import):
        raise Unsupported(f"its operators are older than ONNX's opset {_OPSET}")
    ensemble = ensemble_in(proto, bench)
    walk = _Walk(ensemble)
    nodes, made = list(proto.graph.node), walk.nodes()
    place = [list(node.output) for node in nodes].index(list(ensemble.node.output))
    del proto.graph.node[:]
    proto.graph.node.extend([*nodes[:place], *made, *nodes[place + 1 :]])
    proto.graph.initializer.extend(walk.constants)
    return draft.with_proto(proto)


class _Walk:
    """The nodes in place of an ensemble's."""

    def __init__(self, ensemble: Ensemble) -> None:
        transform = ensemble.about.get("post_transform", b"NONE")
        if transform not in _SHARES:
            raise Unsupported(f"its trees end in {transform.decode()}, which is not written here")
        if ensemble.prefix == "class" and ensemble.table.shape[1] < 2:
            raise Unsupported("its trees vote for one of two classes only")
        if ensemble.table.size * 4 > _MOST_BYTES:
            raise Unsupported("its leaves would fill more than 64 MB")
        self._ensemble = ensemble
        self._transform = _SHARES[transform]
        self._left, self._right, self._limits, self._missing = _asked_alike(ensemble)
        self._made: list[Any] = []
        self.constants: list[Any] = []

    def nodes(self) -> list[Any]:
        """All of them, in order."""
        ensemble = self._ensemble
        sums = self._summed(self._leaves())
        if ensemble.prefix == "target":
            self._shared(sums, ensemble.node.output[0])
            return self._made
        label, scores = ensemble.node.output
        best = self._add("ArgMax", [sums], axis=1, keepdims=0)
        self._add("Gather", [self._constant("labels", _labels(ensemble)), best], label, axis=0)
        self._shared(sums, scores)
        return self._made

    def _leaves(self) -> str:
        """Where each row ends in each tree: [rows, trees]."""
        ensemble = self._ensemble
        rows = self._add("Cast", [ensemble.node.input[0]], to=1)
        tables = {
            "features": ensemble.features.astype(np.int64),
            "limits": self._limits,
            "left": self._left,
            "right": self._right,
        }
        if self._missing.any():
            tables["missing"] = self._missing
        names = {name: self._constant(name, values) for name, values in tables.items()}
        count = self._add("Slice", [self._add("Shape", [rows]), *self._constants_of("first", ([0], [1]))])
        shape = self._add("Concat", [count, self._constant("trees", np.array([ensemble.count]))], axis=0)
        here = self._add("Expand", [self._constant("roots", ensemble.roots.astype(np.int64)[None]), shape])
        for _ in range(_depth(ensemble)):
            here = self._down(rows, here, names)
        return here

    def _down(self, rows: str, here: str, tables: dict[str, str]) -> str:
        """A step down in all trees; who has arrived stays."""
        asked = {name: self._add("Gather", [table, here], axis=0) for name, table in tables.items()}
        values = self._add("GatherElements", [rows, asked["features"]], axis=1)
        true = self._add("LessOrEqual", [values, asked["limits"]])
        if "missing" in asked:
            unknown = self._add("And", [self._add("IsNaN", [values]), asked["missing"]])
            true = self._add("Or", [true, unknown])
        return self._add("Where", [true, asked["left"], asked["right"]])

    def _summed(self, leaves: str) -> str:
        """The sums over the trees: [rows, outputs]."""
        ensemble = self._ensemble
        mean = ensemble.about.get("aggregate_function", b"SUM") == b"AVERAGE"
        table = ensemble.table / ensemble.count if mean else ensemble.table
        votes = self._add("Gather", [self._constant("leaves", table.astype(np.float32)), leaves], axis=0)
        sums = self._add("ReduceSum", [votes, self._constant("axis", np.array([1]))], keepdims=0)
        base = ensemble.about.get("base_values")
        if not base:
            return sums
        return self._add("Add", [sums, self._constant("base", np.array(base, dtype=np.float32))])

    def _shared(self, sums: str, output: str) -> None:
        operator = self._transform or "Identity"
        self._add(operator, [sums], output, **({"axis": 1} if operator == "Softmax" else {}))

    def _add(self, operator: str, inputs: Sequence[str], output: str = "", **attributes: Any) -> str:
        import onnx  # noqa: PLC0415 (heavy)

        output = output or f"{self._name}_{len(self._made)}"
        self._made.append(onnx.helper.make_node(operator, list(inputs), [output], **attributes))
        return output

    def _constants_of(self, name: str, values: Sequence[list[int]]) -> list[str]:
        return [self._constant(f"{name}_{at}", np.array(value)) for at, value in enumerate(values)]

    def _constant(self, name: str, values: Array) -> str:
        import onnx  # noqa: PLC0415 (heavy)

        name = f"{self._name}_{name}"
        self.constants.append(onnx.numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    @property
    def _name(self) -> str:
        return f"{self._ensemble.node.output[-1]}_walk"


def _asked_alike(ensemble: Ensemble) -> tuple[Array, Array, Array, Array]:
    """Left, right, limits and missing so that all nodes ask *at most?*, and leaves lead to themselves.

    Who asks *less?* asks for at most the number before; the opposite question has its answers turned round,
    and a missing value, which says no to either, goes where no leads.
    """
    modes, itself = ensemble.modes, np.arange(len(ensemble.modes))
    if np.isin(modes, [b"BRANCH_EQ", b"BRANCH_NEQ"]).any():
        raise Unsupported("its trees ask for single values")
    turned = np.isin(modes, [b"BRANCH_GT", b"BRANCH_GTE"])
    short = np.isin(modes, [b"BRANCH_LT", b"BRANCH_GTE"])
    limits = np.where(short, np.nextafter(ensemble.limits, np.float32(-np.inf)), ensemble.limits)
    left = np.where(turned, ensemble.right, ensemble.left)
    right = np.where(turned, ensemble.left, ensemble.right)
    left, right = (np.where(ensemble.inner, way, itself) for way in (left, right))
    missing = (ensemble.missing ^ turned) & ensemble.inner
    return left.astype(np.int64), right.astype(np.int64), limits.astype(np.float32), missing


def _depth(ensemble: Ensemble) -> int:
    """How many questions the longest way has."""
    here, depth = ensemble.roots[ensemble.inner[ensemble.roots]], 0
    while len(here):
        depth += 1
        here = np.concatenate([ensemble.left[here], ensemble.right[here]])
        here = here[ensemble.inner[here]]
        if depth > _DEEPEST:
            raise Unsupported(f"its trees are deeper than {_DEEPEST} questions")
    return depth


def _labels(ensemble: Ensemble) -> Array:
    texts = ensemble.about.get("classlabels_strings")
    if texts:
        return np.array([text.decode() for text in texts], dtype=object)
    return np.array(ensemble.about["classlabels_int64s"], dtype=np.int64)
