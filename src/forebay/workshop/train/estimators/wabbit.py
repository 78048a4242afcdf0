"""Vowpal Wabbit: a linear model that learns a stream, row by row, in memory that does not grow."""

from __future__ import annotations

from typing import Any

import numpy as np

from forebay.core import Array
from forebay.workshop.train.estimators.offer import CLASSES, NUMBERS, Asked, Estimator, Range

_PASSES = 10
_BITS = 20
_MOST_EXPONENT = 80.0
_CONSTANT = 11650396
"""Where Vowpal Wabbit keeps the constant's weight, before its table's size cuts it."""


class Wabbit:
    """A linear model of Vowpal Wabbit with scikit-learn's manners, and `learn` for streams."""

    def __init__(self, asked: Asked, *, classes: bool) -> None:
        self._asked, self._classified = asked, classes
        self._workspace: Any = None
        self._classes, self._width = 0, 0
        self.centre, self.spread = 0.0, 1.0
        self.weights, self.bias = np.zeros((0, 0), np.float32), np.zeros(0, np.float32)

    def fit(self, rows: Array, target: Array, sample_weight: Array | None = None) -> Wabbit:
        """Learn in several passes, each in an order of its own."""
        draw = np.random.default_rng(self._asked.seed)
        if not self._classified:
            self.centre, self.spread = float(target.mean()), float(target.std()) or 1.0
        self.begin(rows.shape[1], int(target.max()) + 1 if self._classified else 1)
        for _ in range(int(self._asked.params.get("passes", _PASSES))):
            order = draw.permutation(len(rows))
            weight = None if sample_weight is None else np.asarray(sample_weight)[order]
            self.learn(rows[order], target[order], weight)
        return self.finish()

    def begin(self, width: int, classes: int) -> None:
        """Make ready for rows of *width* numbers and targets 0 … *classes* - 1 (or numbers)."""
        import vowpalwabbit  # noqa: PLC0415 (heavy)

        self._width, self._classes = width, max(2, classes) if self._classified else 1
        rate = float(self._asked.params.get("learning_rate", 0.5))
        options = f"--quiet -b {_BITS} --random_seed {self._asked.seed} -l {rate}"
        if self._classified:
            options += f" --oaa {self._classes} --loss_function logistic"
        self._workspace = vowpalwabbit.Workspace(options)

    def learn(self, rows: Array, target: Array, weight: Array | None = None) -> None:
        """Learn each row once, in its order; numbers are best centred first: `centre` and `spread`."""
        told = target.astype(np.int64) + 1 if self._classified else (target - self.centre) / self.spread
        names = [f"x{place}" for place in range(rows.shape[1])]
        for place, (row, value) in enumerate(zip(np.asarray(rows, np.float64), told.tolist(), strict=True)):
            importance = "" if weight is None else f" {float(weight[place]):.6g}"
            features = " ".join(
                f"{name}:{number:.7g}" for name, number in zip(names, row.tolist(), strict=True) if number
            )
            self._workspace.learn(f"{value}{importance} |n {features}")

    def finish(self) -> Wabbit:
        """Take the weights out; the model is an ordinary matrix from then on."""
        vw = self._workspace
        space = vw.hash_space("n")
        places = [vw.hash_feature(f"x{column}", space) for column in range(self._width)]
        self.weights = np.array([self._weights_at(place) for place in places], dtype=np.float32)
        self.bias = np.array(self._weights_at(_CONSTANT), dtype=np.float32)
        self.weights, self.bias = self.weights * np.float32(self.spread), self._unscaled(self.bias)
        vw.finish()
        self._workspace = None
        return self

    def _unscaled(self, bias: Array) -> Array:
        return np.asarray(bias * self.spread + self.centre, dtype=np.float32)

    def _weights_at(self, place: int) -> list[float]:
        """Of one feature, the weight of each class: they stand side by side, a power of two apart."""
        apart = 1 << (self._classes - 1).bit_length()
        first = (place * apart) & ((1 << _BITS) - 1)
        return [self._workspace.get_weight(first + answer, 0) for answer in range(self._classes)]

    def predict(self, rows: Array) -> Array:
        """Numbers, in the target's unit."""
        return np.asarray(self._scores(rows)[:, 0], dtype=np.float64)

    def predict_proba(self, rows: Array) -> Array:
        """One against all: the logistic function of each class's score, made to add up to one."""
        share = 1.0 / (1.0 + np.exp(np.minimum(-self._scores(rows), _MOST_EXPONENT)))
        return np.asarray(share / share.sum(axis=1, keepdims=True))

    def _scores(self, rows: Array) -> Array:
        return np.asarray(rows, dtype=np.float32) @ self.weights + self.bias

    def to_onnx(self, width: int) -> Any:
        """The ONNX model: float32 `x` [rows, width] in, `answers` out."""
        from onnx import TensorProto, helper, numpy_helper  # noqa: PLC0415 (heavy)

        nodes = [helper.make_node("Gemm", ["x", "w", "b"], ["scores"])]
        if self._classified:
            nodes.append(helper.make_node("Sigmoid", ["scores"], ["shares"]))
            nodes.append(helper.make_node("ReduceSum", ["shares", "last"], ["sum"], keepdims=1))
            nodes.append(helper.make_node("Div", ["shares", "sum"], ["answers"]))
        else:
            nodes.append(helper.make_node("Identity", ["scores"], ["answers"]))
        kept = {"w": self.weights, "b": self.bias, "last": np.array([1])}
        graph = helper.make_graph(
            nodes,
            "vowpal-wabbit",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, width])],
            [helper.make_tensor_value_info("answers", TensorProto.FLOAT, [None, self._classes])],
            [numpy_helper.from_array(values, name) for name, values in kept.items()],
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])


WABBIT = (
    Estimator(
        "vowpal-wabbit",
        {
            CLASSES: lambda asked: Wabbit(asked, classes=True),
            NUMBERS: lambda asked: Wabbit(asked, classes=False),
        },
        {"learning_rate": Range(0.05, 2.0, log=True), "passes": (1, 3, 10, 20)},
        scaled=True,
        filled=True,
        alone=True,
        module="vowpalwabbit",
        extra="vw",
    ),
)
