"""Small real models for the tests, written with onnx's own helper."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from forebay.core import INFO_NAME, Array, ArtifactInfo, DataType, Signature, TensorSpec

TWICE = Signature(
    (TensorSpec("x", DataType.FP32, (-1, 3), columns=("a", "b", "c"), nan=False),),
    (TensorSpec("y", DataType.FP32, (-1, 3)),),
)
"""y = factor · x, for rows of three numbers; a NaN is refused."""


def scaler(factor: float = 2.0, *, batch: str | int = "batch", repeats: int = 0) -> bytes:
    """y = factor · x; *repeats* more matrix products make it slow."""
    nodes = [helper.make_node("Mul", ["x", "factor"], ["m0"])]
    nodes += [helper.make_node("MatMul", [f"m{i}", "eye"], [f"m{i + 1}"]) for i in range(repeats)]
    nodes.append(helper.make_node("Identity", [f"m{repeats}"], ["y"]))
    graph = helper.make_graph(
        nodes,
        "scaler",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [batch, 3])],
        [
            numpy_helper.from_array(np.float32(factor).reshape(1), "factor"),
            numpy_helper.from_array(np.eye(3, dtype=np.float32), "eye"),
        ],
    )
    return graph_bytes(graph)


def gatherer() -> bytes:
    """y = table[x] for one integer a row; an index over 4 fails inside the model."""
    graph = helper.make_graph(
        [helper.make_node("Gather", ["table", "x"], ["y"])],
        "gatherer",
        [helper.make_tensor_value_info("x", TensorProto.INT64, ["batch"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch"])],
        [numpy_helper.from_array(np.arange(5, dtype=np.float32), "table")],
    )
    return graph_bytes(graph)


def echo_text() -> bytes:
    """y = x for strings."""
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])],
        "echo",
        [helper.make_tensor_value_info("x", TensorProto.STRING, ["batch", 1])],
        [helper.make_tensor_value_info("y", TensorProto.STRING, ["batch", 1])],
    )
    return graph_bytes(graph)


def echo(datatype: DataType) -> bytes:
    """y = x for two columns of *datatype*."""
    kinds = {DataType.FP16: TensorProto.FLOAT16, DataType.BF16: TensorProto.BFLOAT16}
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])],
        "echo",
        [helper.make_tensor_value_info("x", kinds[datatype], ["batch", 2])],
        [helper.make_tensor_value_info("y", kinds[datatype], ["batch", 2])],
    )
    return graph_bytes(graph)


def echo_signature(datatype: DataType) -> Signature:
    """What `echo` takes and gives."""
    return Signature((TensorSpec("x", datatype, (-1, 2)),), (TensorSpec("y", datatype, (-1, 2)),))


def mlp(width: int, hidden: int, classes: int) -> bytes:
    """y = relu(x · A) · B · C where B is square: 4 · hidden² bytes and more."""
    rng = np.random.default_rng(1)
    sizes = [(width, hidden), (hidden, hidden), (hidden, classes)]
    weights = [rng.normal(0, 1 / np.sqrt(size[0]), size).astype(np.float32) for size in sizes]
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "w0"], ["a"]),
            helper.make_node("Relu", ["a"], ["b"]),
            helper.make_node("MatMul", ["b", "w1"], ["c"]),
            helper.make_node("MatMul", ["c", "w2"], ["y"]),
        ],
        "mlp",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", width])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", classes])],
        [numpy_helper.from_array(weight, f"w{i}") for i, weight in enumerate(weights)],
    )
    return graph_bytes(graph)


def resident_bytes() -> int:
    """What this process takes of the machine's memory now."""
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def write_artifact(folder: Path, model: bytes, signature: Signature = TWICE) -> Path:
    """An artifact folder around *model*."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(model)
    (folder / INFO_NAME).write_bytes(ArtifactInfo(signature).encode())
    return folder


def graph_bytes(graph: onnx.GraphProto) -> bytes:
    """A checked model around *graph*."""
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    model.ir_version = 9
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def heavy(seed: int, megabytes: float = 1.0) -> bytes:
    """y = x · a · b with random weights of *megabytes*; `heavy_answer` says what comes out."""
    a, b = _weights(seed, megabytes)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "a"], ["h"]), helper.make_node("MatMul", ["h", "b"], ["y"])],
        "heavy",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 3])],
        [numpy_helper.from_array(a, "a"), numpy_helper.from_array(b, "b")],
    )
    return graph_bytes(graph)


def heavy_answer(seed: int, rows: Array, megabytes: float = 1.0) -> Array:
    """What `heavy` says of *rows*, computed by NumPy."""
    a, b = _weights(seed, megabytes)
    return np.asarray(rows.astype(np.float64) @ a.astype(np.float64) @ b.astype(np.float64))


@cache
def _weights(seed: int, megabytes: float) -> tuple[Array, Array]:
    random, width = np.random.default_rng(seed), int(megabytes * 1e6 / 24)
    return (
        random.standard_normal((3, width), dtype=np.float32),
        random.standard_normal((width, 3), dtype=np.float32) / np.float32(width),
    )
