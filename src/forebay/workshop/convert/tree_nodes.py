"""Trees of any library as one ONNX node, and a hand to write the nodes around it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from forebay.core import Array

_ML = "ai.onnx.ml"
_LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True, slots=True)
class Split:
    """A question to one feature: below *value* (`BRANCH_LT`), up to it (`BRANCH_LEQ`), or one of *codes*."""

    feature: int
    mode: str
    value: float
    codes: Sequence[int]
    yes: int
    no: int
    missing_is_yes: bool


@dataclass(frozen=True, slots=True)
class Leaf:
    """What a tree adds: to its group, or, of several values, to that and the groups after it."""

    values: Sequence[float]


Tree = Sequence[Split | Leaf]
"""The nodes of a tree, each at the place that others call it by; the first is the root."""


class Nodes:
    """ONNX nodes in the order in which they run; their names have a prefix of their own."""

    def __init__(self, prefix: str = "") -> None:
        self.made: list[Any] = []
        self._prefix = prefix

    def add(self, operator: str, inputs: Sequence[str], output: str = "", **attributes: Any) -> str:
        """One node; the name of its output."""
        from onnx import helper  # noqa: PLC0415 (heavy)

        output = output or f"{self._prefix}made_{len(self.made)}"
        domain = _ML if operator in ("TreeEnsembleRegressor", "LabelEncoder") else ""
        name = f"{output}_{operator}"
        self.made.append(
            helper.make_node(operator, list(inputs), [output], name, domain=domain, **attributes)
        )
        return output

    def constant(self, values: Any) -> str:
        """A constant; texts are a list of `str`."""
        from onnx import TensorProto, helper, numpy_helper  # noqa: PLC0415 (heavy)

        if isinstance(values, list):
            texts = [text.encode() for text in values]
            tensor = helper.make_tensor("texts", TensorProto.STRING, [len(texts)], texts)
        else:
            tensor = numpy_helper.from_array(np.ascontiguousarray(values))
        return self.add("Constant", [], value=tensor)

    def forest(self, x: str, trees: Iterable[tuple[int, Tree]], base: Array) -> str:
        """The sums of *trees*, each with the group that it adds to, on top of *base*.

        From the float32 matrix *x* to [rows, groups]; *base* is [groups].
        """
        table = _Table()
        for number, (group, tree) in enumerate(trees):
            table.add(number, group, tree)
        return self.add(
            "TreeEnsembleRegressor",
            [x],
            n_targets=len(base),
            aggregate_function="SUM",
            post_transform="NONE",
            base_values=[float(value) for value in base],
            **table.attributes(),
        )

    def both_sides(self, positive: str, output: str = "") -> str:
        """Probabilities [rows, 2] from that of the second class [rows, 1]."""
        negative = self.add("Sub", [self.constant(np.array([1], np.float32)), positive])
        return self.add("Concat", [negative, positive], output, axis=1)

    def best_label(self, scores: str, classes: Sequence[Any], output: str) -> str:
        """The class with the highest of *scores* [rows, classes]; of equals the first."""
        texts = all(isinstance(value, str) for value in classes)
        listed = self.constant(list(classes) if texts else np.array(classes).astype(np.int64))
        return self.add("Gather", [listed, self.add("ArgMax", [scores], axis=1, keepdims=0)], output)


def as_float32(mode: str, value: float) -> float:
    """The float32 that asks a float32 feature what *value* would.

    LightGBM asks `BRANCH_LEQ` with float64, and the nearest float32 may lie above the feature's next value.
    XGBoost asks `BRANCH_LT` with float32, written in decimals: the nearest is the one that it means.

    >>> as_float32("BRANCH_LEQ", 0.1) < 0.1 < as_float32("BRANCH_LT", 0.1)
    True
    """
    near = np.float32(min(max(value, -_LARGEST), _LARGEST))
    if mode == "BRANCH_LEQ" and float(near) > value:
        near = np.nextafter(near, np.float32(-np.inf))
    return float(near)


class _Table:
    """The attributes of a TreeEnsembleRegressor: columns, with a line for each node and each leaf."""

    def __init__(self) -> None:
        self._nodes: list[tuple[Any, ...]] = []
        self._leaves: list[tuple[Any, ...]] = []

    def attributes(self) -> dict[str, Any]:
        nodes = map(list, zip(*self._nodes, strict=True))
        leaves = map(list, zip(*self._leaves, strict=True))
        of_nodes = ("treeids", "nodeids", "featureids", "modes", "values", "truenodeids", "falsenodeids")
        named = zip((*of_nodes, "missing_value_tracks_true"), nodes, strict=True)
        of_leaves = zip(("treeids", "nodeids", "ids", "weights"), leaves, strict=True)
        return {f"nodes_{name}": column for name, column in named} | {
            f"target_{name}": column for name, column in of_leaves
        }

    def add(self, number: int, group: int, tree: Tree) -> None:
        extra = len(tree)
        for place, node in enumerate(tree):
            if isinstance(node, Leaf):
                self._nodes.append((number, place, 0, "LEAF", 0.0, 0, 0, 0))
                for further, value in enumerate(node.values):
                    self._leaves.append((number, place, group + further, float(value)))
            elif node.mode != "BRANCH_EQ":
                ways = (node.yes, node.no, int(node.missing_is_yes))
                value = as_float32(node.mode, node.value)
                self._nodes.append((number, place, node.feature, node.mode, value, *ways))
            else:
                extra = self._add_chain(number, place, node, extra)

    def _add_chain(self, number: int, place: int, node: Split, extra: int) -> int:
        """A question for each code, one after the other; any yes is a yes; what is missing is asked first."""
        for left, code in reversed(list(enumerate(reversed(node.codes)))):
            no = extra if left else node.no
            ways = (node.yes, no, int(node.missing_is_yes))
            self._nodes.append((number, place, node.feature, "BRANCH_EQ", float(code), *ways))
            place, extra = no, extra + bool(left)
        return extra
