"""From what a network's last layer gives to a label and the probabilities behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np

from forebay.core import Array, Tensors
from forebay.core.errors import Malformed

LABEL, PROBABILITIES = "label", "probabilities"
_SHAPES_ONLY = frozenset({"Identity", "Cast", "Reshape", "Squeeze", "Unsqueeze", "Flatten"})


class Kind(Enum):
    """What the numbers of the last layer mean."""

    LOGITS = "logits"
    """One for each class; a softmax makes probabilities of them."""
    PROBABILITIES = "probabilities"
    """One for each class, summing to one."""
    LOGIT = "logit"
    """One number, of the second class; a sigmoid makes a probability of it."""
    PROBABILITY = "probability"
    """The probability of the second class."""
    SEVERAL = "several labels"
    """A probability for each class by itself: several, or none, may be true."""


@dataclass(frozen=True, slots=True)
class Head:
    """The classes of the output *output*, and what its numbers mean."""

    output: str
    labels: tuple[str, ...] | tuple[int, ...]
    kind: Kind

    def apply(self, values: Array) -> Tensors:
        """Label and probabilities of each row, as the graph that `attach` makes computes them."""
        probabilities = _probabilities(values.reshape(len(values), -1).astype(np.float64), self.kind)
        if self.kind is Kind.SEVERAL:
            return {PROBABILITIES: probabilities}
        labels = np.array(self.labels, dtype=np.int64 if self.numbered else object)
        return {LABEL: labels[probabilities.argmax(axis=1)], PROBABILITIES: probabilities}

    @property
    def numbered(self) -> bool:
        """Whether the labels are whole numbers."""
        return all(isinstance(label, int) for label in self.labels)

    @property
    def single(self) -> bool:
        """Whether each row has one label."""
        return self.kind is not Kind.SEVERAL

    def attach(self, proto: Any) -> None:
        """Put the head on the graph, in place of the output."""
        graph = proto.graph
        kept = [value for value in graph.output if value.name == self.output]
        graph.node.extend(_nodes(self))
        graph.initializer.extend(_constants(self, kept[0].type.tensor_type.elem_type))
        del graph.output[:]
        graph.output.extend(_outputs(self, kept[0].type.tensor_type.elem_type))


def head_for(proto: Any, answers: Tensors, labels: Sequence[Any]) -> Head:
    """What *labels* name: the one output's columns. Raises `Malformed` where they do not fit."""
    if len(answers) > 1:
        raise Malformed(
            f"labels name the classes of one output, and the network gives {list(answers)}; "
            "publish the network that gives the class alone"
        )
    [(output, values)] = answers.items()
    given = tuple(int(label) if isinstance(label, int | np.integer) else str(label) for label in labels)
    width = values.shape[1] if values.ndim == 2 else 1 if values.ndim == 1 else 0
    if len(given) != (2 if width == 1 else width):
        raise Malformed(
            f"{len(given)} labels for an output of the shape {list(values.shape[1:])}; one a class"
        )
    if len(set(given)) != len(given):
        raise Malformed("two labels are the same; give each class a name of its own")
    return Head(output, given, _kind(proto, output, values, width))  # type: ignore[arg-type]  # mixed ones are texts


def _kind(proto: Any, output: str, values: Array, width: int) -> Kind:
    last = _last_operator(proto.graph, output)
    if width == 1:
        return Kind.PROBABILITY if last == "Sigmoid" else Kind.LOGIT
    if last == "Sigmoid":
        return Kind.SEVERAL
    in_range = bool((values >= 0).all() and (values <= 1).all())
    sums = bool(np.allclose(values.sum(axis=1), 1, atol=1e-3))
    return Kind.PROBABILITIES if last == "Softmax" or (in_range and sums) else Kind.LOGITS


def _last_operator(graph: Any, output: str) -> str:
    """What computes *output*, but for what only changes shapes and types."""
    makers = {name: node for node in graph.node for name in node.output}
    while output in makers and makers[output].op_type in _SHAPES_ONLY:
        output = makers[output].input[0]
    return str(makers[output].op_type) if output in makers else ""


def _probabilities(values: Array, kind: Kind) -> Array:
    if kind is Kind.LOGITS:
        powers = np.exp(values - values.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True))
    if kind in (Kind.LOGIT, Kind.PROBABILITY):
        second = 1 / (1 + np.exp(-values)) if kind is Kind.LOGIT else values
        return np.concatenate([1 - second, second], axis=1)
    return values


def _nodes(head: Head) -> list[Any]:
    from onnx.helper import make_node  # noqa: PLC0415 (heavy)

    source = head.output
    if head.kind is Kind.LOGITS:
        nodes = [make_node("Softmax", [source], [PROBABILITIES], axis=-1)]
    elif head.kind in (Kind.PROBABILITIES, Kind.SEVERAL):
        nodes = [make_node("Identity", [source], [PROBABILITIES])]
    else:
        nodes = [make_node("Reshape", [source, "head_column"], ["head_raw"])]
        squash = "Sigmoid" if head.kind is Kind.LOGIT else "Identity"
        nodes += [
            make_node(squash, ["head_raw"], ["head_second"]),
            make_node("Sub", ["head_one", "head_second"], ["head_first"]),
            make_node("Concat", ["head_first", "head_second"], [PROBABILITIES], axis=1),
        ]
    if head.single:
        nodes += [
            make_node("ArgMax", [PROBABILITIES], ["head_best"], axis=1, keepdims=0),
            make_node("Gather", ["head_labels", "head_best"], [LABEL], axis=0),
        ]
    return nodes


def _constants(head: Head, datatype: int) -> list[Any]:
    from onnx import TensorProto, helper  # noqa: PLC0415 (heavy)

    made = []
    if head.kind in (Kind.LOGIT, Kind.PROBABILITY):
        made += [
            helper.make_tensor("head_column", TensorProto.INT64, [2], [-1, 1]),
            helper.make_tensor("head_one", datatype, [1], [1.0]),
        ]
    if head.single:
        kind = TensorProto.INT64 if head.numbered else TensorProto.STRING
        values: Any = [label if head.numbered else str(label).encode() for label in head.labels]
        made.append(helper.make_tensor("head_labels", kind, [len(values)], values))
    return made


def _outputs(head: Head, datatype: int) -> list[Any]:
    from onnx import TensorProto, helper  # noqa: PLC0415 (heavy)

    made = [helper.make_tensor_value_info(PROBABILITIES, datatype, ["batch", len(head.labels)])]
    if not head.single:
        return made
    kind = TensorProto.INT64 if head.numbered else TensorProto.STRING
    return [helper.make_tensor_value_info(LABEL, kind, ["batch"]), *made]
