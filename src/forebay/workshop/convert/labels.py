"""Names for classes that are numbers: in what the graph answers, and in what the original is held to say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from forebay.core import Array
from forebay.core.errors import Malformed
from forebay.workshop.convert.columnar import OPSETS
from forebay.workshop.convert.graph import rename
from forebay.workshop.convert.predictor import Predictor

_LABEL, _CLASS = "label", "label__class"


def with_labels(predictor: Predictor, proto: Any, labels: Sequence[str]) -> Predictor:
    """Let *proto* answer *labels*, one a class in the order of the probabilities; returns one like that."""
    classes = predictor.classes
    if not classes or _LABEL not in predictor.functions:
        raise Malformed("labels are names for classes, and this model has none; leave them out")
    if len(labels) != len(classes) or len(set(labels)) != len(labels):
        raise Malformed(f"{len(labels)} labels for {len(classes)} classes; give each class a name of its own")
    _add_encoder(proto, classes, labels)
    names = dict(zip(classes, labels, strict=True))
    ask = predictor.functions[_LABEL]

    def named(table: Any) -> Array:
        return np.array([names[value] for value in np.asarray(ask(table)).ravel().tolist()], dtype=object)

    return replace(predictor, classes=tuple(labels), functions={**predictor.functions, _LABEL: named})


def _add_encoder(proto: Any, classes: Sequence[Any], labels: Sequence[str]) -> None:
    from onnx import TensorProto, helper  # noqa: PLC0415 (heavy)

    rename(proto.graph, {_LABEL: _CLASS})
    for opset in proto.opset_import:
        if opset.domain == "ai.onnx.ml":
            opset.version = max(opset.version, OPSETS["ai.onnx.ml"])  # the first had no names for numbers
    texts = all(isinstance(value, str) for value in classes)
    keys: dict[str, Any] = (
        {"keys_strings": list(classes)} if texts else {"keys_int64s": list(map(int, classes))}
    )
    proto.graph.node.append(
        helper.make_node(
            "LabelEncoder", [_CLASS], [_LABEL], domain="ai.onnx.ml", values_strings=list(labels), **keys
        )
    )
    output = next(value for value in proto.graph.output if value.name == _CLASS)
    output.name = _LABEL
    output.type.tensor_type.elem_type = TensorProto.STRING
