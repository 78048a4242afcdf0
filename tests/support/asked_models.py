"""Small models with several inputs and outputs, for the protocols that name them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from forebay.core import DataType, Signature, TensorSpec
from support.nodes import Prepared
from support.tiny_models import graph_bytes, scaler

CLASSES = ("cat", "dog", "owl")
JUDGE = Signature(
    (TensorSpec("x", DataType.FP32, (-1, 3), columns=("a", "b", "c")),),
    (
        TensorSpec("label", DataType.BYTES, (-1,)),
        TensorSpec("probabilities", DataType.FP32, (-1, 3), columns=CLASSES),
    ),
)
"""The class whose number is largest, and the softmax of all three."""
MIXER = Signature(
    (TensorSpec("a", DataType.FP32, (-1, 2)), TensorSpec("b", DataType.INT64, (-1,))),
    (TensorSpec("sum", DataType.FP32, (-1,)),),
)
"""The sum of a row of `a`, and of `b`."""


def judge() -> bytes:
    """A classifier of three classes."""
    graph = helper.make_graph(
        [
            helper.make_node("Softmax", ["x"], ["probabilities"], axis=1),
            helper.make_node("ArgMax", ["x"], ["best"], axis=1, keepdims=0),
            helper.make_node("Gather", ["names", "best"], ["label"]),
        ],
        "judge",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3])],
        [
            helper.make_tensor_value_info("label", TensorProto.STRING, ["batch"]),
            helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", 3]),
        ],
        [numpy_helper.from_array(np.array(CLASSES, dtype=object), "names")],
    )
    return graph_bytes(graph)


def mixer() -> bytes:
    """Two inputs that differ in datatype and shape."""
    graph = helper.make_graph(
        [
            helper.make_node("ReduceSum", ["a", "axes"], ["row"], keepdims=0),
            helper.make_node("Cast", ["b"], ["c"], to=TensorProto.FLOAT),
            helper.make_node("Add", ["row", "c"], ["sum"]),
        ],
        "mixer",
        [
            helper.make_tensor_value_info("a", TensorProto.FLOAT, ["batch", 2]),
            helper.make_tensor_value_info("b", TensorProto.INT64, ["batch"]),
        ],
        [helper.make_tensor_value_info("sum", TensorProto.FLOAT, ["batch"])],
        [numpy_helper.from_array(np.array([1], np.int64), "axes")],
    )
    return graph_bytes(graph)


def all_deployed(folder: Path) -> Prepared:
    """A node's models: `twice`, `either` of two versions (the second is the champion), `judge`, `mixer`."""
    prepared = Prepared(folder)
    prepared.deploy("twice", [prepared.artifact(scaler())])
    prepared.deploy("either", [prepared.artifact(scaler(10)), prepared.artifact(scaler(100))])
    prepared.deploy("judge", [prepared.artifact(judge(), JUDGE)])
    prepared.deploy("mixer", [prepared.artifact(mixer(), MIXER)])
    prepared.alias("either", champion=2)
    return prepared
