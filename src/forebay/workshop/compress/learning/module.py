"""An ONNX graph that torch can run and differentiate."""

from __future__ import annotations

from typing import Any

import numpy as np

from forebay.core import Array
from forebay.core.errors import Unsupported
from forebay.core.extras import need
from forebay.workshop.compress.graphs import attributes, weights_of
from forebay.workshop.compress.learning.operators import OPERATORS


class Graph:
    """The part of a graph that one tensor is computed from.

    `weights` are its float32 initialisers as leaves of torch, which an optimiser may change.
    """

    def __init__(self, proto: Any, wanted: str, also: str = "") -> None:
        """With *also*, a second tensor; raises `Unsupported` for operators that cannot learn here."""
        self._torch = need("torch", "torch")
        self._wanted, self._also = wanted, also
        self._nodes = _leading_to(proto, {wanted, also} - {""})
        strange = sorted({node.op_type for node in self._nodes} - OPERATORS.keys() - {"Constant"})
        if strange:
            raise Unsupported(
                f"it cannot be fine-tuned: there is no gradient here through {', '.join(strange)}"
            )
        read = {name for node in self._nodes for name in node.input}
        values = {name: value for name, value in weights_of(proto).items() if name in read}
        self.weights: dict[str, Any] = {
            name: self._torch.tensor(value, requires_grad=True)
            for name, value in values.items()
            if value.dtype == np.float32 and value.ndim > 0
        }
        self._constants = {
            name: self._torch.tensor(value) for name, value in values.items() if name not in self.weights
        }
        self._attributes = [attributes(node) for node in self._nodes]

    def __call__(self, inputs: dict[str, Any]) -> Any:
        """The wanted tensor for a batch of torch tensors."""
        return self.both(inputs)[0]

    def both(self, inputs: dict[str, Any]) -> tuple[Any, Any]:
        """That, and the second one, or None."""
        known: dict[str, Any] = {**self._constants, **self.weights, **inputs}
        for node, about in zip(self._nodes, self._attributes, strict=True):
            if node.op_type == "Constant":
                continue
            given = [known[name] if name else None for name in node.input]
            try:
                known[node.output[0]] = OPERATORS[node.op_type](self._torch, about, *given)
            except (NotImplementedError, TypeError) as error:
                raise Unsupported(f"it cannot be fine-tuned: {error}") from error
        return known[self._wanted], known.get(self._also)

    def learned(self) -> dict[str, Array]:
        """The weights as they are now."""
        return {name: value.detach().numpy() for name, value in self.weights.items()}


def _leading_to(proto: Any, wanted: set[str]) -> list[Any]:
    kept: list[Any] = []
    names = set(wanted)
    for node in reversed(proto.graph.node):
        if any(name in names for name in node.output):
            kept.append(node)
            names.update(node.input)
    return kept[::-1]


def before_softmax(proto: Any, name: str) -> tuple[str, bool]:
    """The logits behind the output *name*, and whether there was a softmax after them."""
    by_output = {output: node for node in proto.graph.node for output in node.output}
    place = name
    while place in by_output and by_output[place].op_type in ("Identity", "Cast"):
        place = by_output[place].input[0]
    if place in by_output and by_output[place].op_type == "Softmax":
        return by_output[place].input[0], True
    return name, False
