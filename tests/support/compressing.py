"""Small models on scikit-learn's digits, as artifacts, and their rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

from forebay.core import INFO_NAME, ArtifactInfo, DataType, Signature, Tensors, TensorSpec
from forebay.workshop.compress.drafts import Bench, Draft, Source, answers
from forebay.workshop.compress.learning import Lessons, teach
from forebay.workshop.compress.parts import Rows
from forebay.workshop.compress.steps.layers import Layers
from forebay.workshop.compress.steps.precision import by_files, rows_reader

TEN = tuple(str(number) for number in range(10))


def digits() -> tuple[Any, Any]:
    """Images float32 [1797, 64] from 0 to 1, and their labels as text."""
    from sklearn.datasets import load_digits  # noqa: PLC0415 (heavy)

    rows, labels = load_digits(return_X_y=True)
    return (rows / 16).astype(np.float32), labels.astype(str)


def trained(folder: Path, kind: str, *, epochs: int = 12, taught: int = 700) -> Source:
    """A network (`dense` or `convolutional`), taught with the first *taught* digits, in *folder*."""
    images, labels = digits()
    given = TensorSpec("x", DataType.FP32, (-1, 64))
    given_out = TensorSpec("scores", DataType.FP32, (-1, 10), TEN)
    layers = Layers(np.random.default_rng(0), 64)
    if kind == "dense":
        here, width = layers.dense_layers("x", (128, 128))
    else:
        here, width = layers.convolutions("x", (1, 8, 8), (16, 32))
    layers.node("Softmax", layers.dense(here, width, 10), name="scores", axis=-1)
    info = ArtifactInfo(Signature((given,), (given_out,)), task="classification")
    right = labels[:taught].astype(np.int64)
    lessons = Lessons({"x": images[:taught]}, np.eye(10)[right], None, right)
    rows = Rows(lessons.inputs, labels[:taught])
    bench = Bench(info, rows, untaught)
    draft = teach(
        Draft(layers.graph(given, (given_out,))), bench, lessons, epochs=epochs, rate=5e-3, alpha=0.0
    )
    return saved(folder, info, draft.graph)


def saved(folder: Path, info: ArtifactInfo, graph: bytes) -> Source:
    """*graph* as an artifact in *folder*."""
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(graph)
    (folder / INFO_NAME).write_bytes(info.encode())
    return Source.at(folder)


def untaught(_inputs: Tensors) -> Tensors:
    """Nobody to ask."""
    raise AssertionError("the lessons are complete")


def held_out(taught: int = 700) -> Rows:
    """The digits that `trained` models have not seen."""
    images, labels = digits()
    return Rows({"x": images[taught:]}, labels[taught:])


def bench_of(source: Source, tune: Rows) -> Bench:
    """What a step gets: *tune*, and *source* to ask."""
    session = ort.InferenceSession(source.draft().graph, providers=["CPUExecutionProvider"])
    names = [spec.name for spec in source.info.signature.outputs]
    return Bench(source.info, tune, lambda inputs: dict(zip(names, session.run(names, inputs), strict=True)))


def accuracy(source: Source, draft: Draft, rows: Rows) -> float:
    """How many of *rows* a draft gets right, in ONNX Runtime."""
    session = ort.InferenceSession(draft.graph, providers=["CPUExecutionProvider"])
    names = [spec.name for spec in source.info.signature.outputs]
    said = dict(zip(names, session.run(names, rows.inputs), strict=True))
    return float(np.mean(answers(source.info, said, rows.truth).labels == rows.truth))


def mean_pooled(folder: Path, *, quantised: bool) -> Source:
    """An encoder's end: the mean over 28 tokens, then a linear layer; quantised, the mean as well."""
    draw = np.random.default_rng(0)
    weight = draw.normal(0, 1 / 8, (64, 10)).astype(np.float32)
    constants = {"w": weight, "b": np.zeros(10, np.float32), "axes": np.array([1])}
    graph = onnx.helper.make_graph(
        [
            onnx.helper.make_node("ReduceMean", ["x", "axes"], ["pooled"], keepdims=0),
            onnx.helper.make_node("Gemm", ["pooled", "w", "b"], ["y"]),
        ],
        "pooled",
        [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [None, 28, 64])],
        [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [None, 10])],
        [onnx.numpy_helper.from_array(values, name) for name, values in constants.items()],
    )
    proto = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)])
    proto.ir_version = 9
    draft = Draft(proto.SerializeToString())
    if quantised:
        draft = _with_quantised_mean(draft)
    given, told = TensorSpec("x", DataType.FP32, (-1, 28, 64)), TensorSpec("y", DataType.FP32, (-1, 10))
    return saved(folder, ArtifactInfo(Signature((given,), (told,)), task="classification"), draft.graph)


def tokens(count: int) -> Any:
    """Rows for `mean_pooled`: float32 [count, 28, 64]."""
    draw = np.random.default_rng(1)
    return (draw.normal(size=(count, 28, 64)) + 0.3 * draw.normal(size=(count, 1, 64))).astype(np.float32)


def _with_quantised_mean(draft: Draft) -> Draft:
    def quantise(given: Path, made: Path) -> None:
        quantize_static(
            given,
            made,
            rows_reader({"x": tokens(256)}),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            op_types_to_quantize=["Gemm", "ReduceMean"],
        )

    return by_files(draft, quantise)
