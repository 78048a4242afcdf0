"""A network, written layer by layer as an ONNX graph."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from forebay.core import Array, DataType, TensorSpec
from forebay.workshop.convert.tree_nodes import Nodes, Tree

_OPSET = 18
_TREES = "ai.onnx.ml"
_IR = 9  # what ONNX Runtime has read for years


class Layers:
    """Nodes and weights that grow; weights are drawn as He et al. (2015) do."""

    def __init__(self, draw: np.random.Generator, columns: int) -> None:
        """*columns* is how many numbers a row has."""
        self._draw, self._columns = draw, columns
        self._nodes: list[Any] = []
        self._weights: list[Any] = []

    def constant(self, values: Array) -> str:
        """A tensor that is given; its name."""
        import onnx  # noqa: PLC0415 (heavy)

        name = f"w{len(self._weights)}"
        self._weights.append(onnx.numpy_helper.from_array(np.asarray(values), name))
        return name

    def node(self, kind: str, *inputs: str, name: str = "", **about: Any) -> str:
        """One operator; the name of what it gives."""
        import onnx  # noqa: PLC0415 (heavy)

        if kind == "Identity":
            about = {}
        made = name or f"t{len(self._nodes)}"
        self._nodes.append(
            onnx.helper.make_node(kind, list(inputs), [made], name=f"n{len(self._nodes)}", **about)
        )
        return made

    def dense(self, here: str, width: int, neurons: int) -> str:
        """x·W + b."""
        weight = self._draw.normal(0, math.sqrt(2 / width), (width, neurons)).astype(np.float32)
        bias = np.zeros(neurons, dtype=np.float32)
        return self.node("Gemm", here, self.constant(weight), self.constant(bias))

    def dense_layers(self, here: str, widths: tuple[int, ...]) -> tuple[str, int]:
        """Dense layers with Relu after each; the last one's name and width."""
        here = self.node("Flatten", here, axis=1)
        width = self._columns
        for neurons in widths:
            here, width = self.node("Relu", self.dense(here, width, neurons)), neurons
        return here, width

    def convolutions(
        self, here: str, image: tuple[int, int, int], channels: tuple[int, ...]
    ) -> tuple[str, int]:
        """Convolutions of 3x3, each with Relu and a pool of 2x2; flat at the end."""
        depth, height, width = image
        shape = np.array([-1, depth, height, width], dtype=np.int64)
        here = self.node("Reshape", here, self.constant(shape))
        for more in channels:
            kernel = self._draw.normal(0, math.sqrt(2 / (9 * depth)), (more, depth, 3, 3)).astype(np.float32)
            bias = np.zeros(more, dtype=np.float32)
            here = self.node(
                "Conv",
                here,
                self.constant(kernel),
                self.constant(bias),
                kernel_shape=[3, 3],
                pads=[1, 1, 1, 1],
            )
            here = self.node("Relu", here)
            here = self.node("MaxPool", here, kernel_shape=[2, 2], strides=[2, 2])
            depth, height, width = more, height // 2, width // 2
        return self.node("Flatten", here, axis=1), depth * height * width

    def forest(self, here: str, trees: Sequence[tuple[int, Tree]], outputs: int) -> str:
        """The sums of *trees* over the columns of a table: [rows, outputs]."""
        nodes = Nodes(f"forest{len(self._nodes)}_")
        made = nodes.forest(here, trees, np.zeros(outputs))
        self._nodes.extend(nodes.made)
        return made

    def graph(self, given: TensorSpec, outputs: tuple[TensorSpec, ...]) -> bytes:
        """All of it as a model with one input and these outputs."""
        import onnx  # noqa: PLC0415 (heavy)

        graph = onnx.helper.make_graph(
            self._nodes,
            "student",
            [_value(given)],
            [_value(spec) for spec in outputs],
            self._weights,
        )
        opsets = [onnx.helper.make_opsetid("", _OPSET)]
        if any(node.domain == _TREES for node in self._nodes):
            opsets.append(onnx.helper.make_opsetid(_TREES, 3))
        model = onnx.helper.make_model(graph, opset_imports=opsets, producer_name="forebay")
        model.ir_version = _IR
        onnx.checker.check_model(model)
        data: bytes = model.SerializeToString(deterministic=True)
        return data


def _value(spec: TensorSpec) -> Any:
    import onnx  # noqa: PLC0415 (heavy)

    if spec.datatype is DataType.BYTES:
        kind = onnx.TensorProto.STRING
    else:
        kind = onnx.helper.np_dtype_to_tensor_dtype(spec.datatype.dtype)
    shape = [None if size == -1 else size for size in spec.shape]
    return onnx.helper.make_tensor_value_info(spec.name, kind, shape)
