"""A linear model of Vowpal Wabbit, with its crosses, as an ONNX graph.

score = w · f + c + fᵀ W f,  cut off at the smallest and largest label that was seen
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from forebay.core import Array
from forebay.core.errors import Malformed, Unsupported
from forebay.workshop.convert.sources.vw_lines import JOINED, Feature, factor, titles

_WEIGHT = re.compile(r"(?:(?P<name>\S.*?):)?(?P<hash>\d+):(?P<weight>-?[\d.]+(?:e[-+]?\d+)?)(?: [-\d.e+ ]+)?")
_LIMIT = re.compile(r"(Min|Max) label:(\S+)")
_CONSTANT = "Constant"


@dataclass
class Weights:
    """What a readable model says. `unnamed` counts weights whose features nobody has seen by name."""

    low: float = -np.inf
    high: float = np.inf
    constant: float = 0.0
    named: dict[tuple[str, ...], float] = field(default_factory=dict)
    unnamed: int = 0

    @property
    def features(self) -> list[Feature]:
        """Every column that a weight is about."""
        return [factor(text)[0] for term in self.named for text in term]


def read_weights(text: str) -> Weights:
    """Read what `--invert_hash` wrote; raises `Malformed`, and `Unsupported` for crosses of three."""
    found = Weights()
    head, begins, body = text.partition("\nChecksum:")
    if not begins:
        raise Malformed("this is no readable model of Vowpal Wabbit")
    limits = {which: float(value) for which, value in _LIMIT.findall(head)}
    found.low, found.high = limits.get("Min", -np.inf), limits.get("Max", np.inf)
    for line in body.splitlines():
        match = _WEIGHT.fullmatch(line)
        if match is None:
            continue
        name, weight = match["name"], float(match["weight"])
        if name is None:
            found.unnamed += weight != 0
        elif name == _CONSTANT:
            found.constant = weight
        else:
            found.named[_term(name)] = weight
    return found


def graph_of(weights: Weights, features: Sequence[Feature], link: str) -> Any:
    """The model; it takes what `vw_lines.tensors_of` makes and gives a `prediction` of shape [rows, 1]."""
    from onnx import TensorProto, helper, numpy_helper  # noqa: PLC0415 (heavy)

    places = _places(weights, features)
    nodes, inputs, constants = _inputs(features, places)
    linear, crosses = _matrices(weights, places)
    constants |= {
        "linear": linear,
        "constant": np.array([weights.constant], np.float32),
        "low": np.array(weights.low, np.float32),
        "high": np.array(weights.high, np.float32),
    }
    nodes += [
        helper.make_node("MatMul", ["f", "linear"], ["single"]),
        helper.make_node("Add", ["single", "constant"], ["shifted"]),
    ]
    if crosses.any():
        constants |= {"crosses": crosses, "axis": np.array([1])}
        nodes += [
            helper.make_node("MatMul", ["f", "crosses"], ["crossed"]),
            helper.make_node("Mul", ["crossed", "f"], ["products"]),
            helper.make_node("ReduceSum", ["products", "axis"], ["pairs"], keepdims=1),
            helper.make_node("Add", ["shifted", "pairs"], ["score"]),
        ]
    score = "score" if crosses.any() else "shifted"
    nodes.append(helper.make_node("Clip", [score, "low", "high"], ["cut"]))
    nodes.append(helper.make_node("Sigmoid" if link == "logistic" else "Identity", ["cut"], ["prediction"]))
    answer = helper.make_tensor_value_info("prediction", TensorProto.FLOAT, [None, 1])
    initial = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "forebay", inputs, [answer], initial)
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9)


def _term(name: str) -> tuple[str, ...]:
    parts = tuple(name.split("*"))
    if len(parts) > 2:
        raise Unsupported(
            f"the weight {name!r} is of a cross of {len(parts)} features; only pairs become ONNX"
        )
    return parts


Place = tuple[Feature, str]


def _places(weights: Weights, features: Sequence[Feature]) -> dict[Place, int]:
    """A column of numbers has one place among the features, one of texts as many as texts with a weight."""
    texts: dict[Feature, dict[str, None]] = {feature: {} for feature in features}
    for term in weights.named:
        for text in term:
            feature, value = factor(text)
            texts[feature][value] = None
    places: dict[Place, int] = {}
    for feature, values in texts.items():
        for value in values or {"": None}:
            places[feature, value] = len(places)
    return places


def _matrices(weights: Weights, places: dict[Place, int]) -> tuple[Array, Array]:
    linear = np.zeros((len(places), 1), np.float32)
    crosses = np.zeros((len(places), len(places)), np.float32)
    for term, weight in weights.named.items():
        found = [places[factor(text)] for text in term]
        if len(found) == 1:
            linear[found[0], 0] += weight
        else:
            crosses[found[0], found[1]] += weight
    return linear, crosses


def _inputs(
    features: Sequence[Feature], places: dict[Place, int]
) -> tuple[list[Any], list[Any], dict[str, Array]]:
    """The nodes that make the matrix `f` of the inputs."""
    from onnx import TensorProto, helper  # noqa: PLC0415 (heavy)

    if not any(feature.text for feature in features):
        x = helper.make_tensor_value_info(JOINED, TensorProto.FLOAT, [None, len(features)])
        return [helper.make_node("Identity", [JOINED], ["f"])], [x], {}
    nodes, inputs, parts = [], [], []
    constants: dict[str, Array] = {}
    for number, (name, feature) in enumerate(zip(titles(features), features, strict=True)):
        kind = TensorProto.STRING if feature.text else TensorProto.FLOAT
        inputs.append(helper.make_tensor_value_info(name, kind, [None, 1]))
        if not feature.text:
            parts.append(name)
            continue
        values = [value for owner, value in places if owner == feature]
        constants[f"wide_{number}"] = np.array([-1, len(values)])
        hot, flat = f"hot_{number}", f"flat_{number}"
        nodes.append(
            helper.make_node(
                "OneHotEncoder", [name], [hot], domain="ai.onnx.ml", cats_strings=values, zeros=1
            )
        )
        nodes.append(helper.make_node("Reshape", [hot, f"wide_{number}"], [flat]))
        parts.append(flat)
    nodes.append(helper.make_node("Concat", parts, ["f"], axis=1))
    return nodes, inputs, constants
