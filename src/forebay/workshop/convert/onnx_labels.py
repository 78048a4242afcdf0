"""What an ONNX file says about itself for people: class labels and metadata."""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping
from typing import Any

from forebay.workshop.convert.graph import rename
from forebay.workshop.convert.onnx_checks import nodes_of

_CLASSIFIERS = {
    "TreeEnsembleClassifier": "classlabels",
    "LinearClassifier": "classlabels",
    "SVMClassifier": "classlabels",
    "ZipMap": "classlabels",
}
_KEYS = ("names", "labels", "classes", "class_names", "id2label")
_LABEL, _PROBABILITIES = "label", "probabilities"


def metadata_of(proto: Any) -> dict[str, str]:
    """Who made the file, and what its maker wrote into it."""
    said = {"producer": f"{proto.producer_name} {proto.producer_version}".strip(), "doc": proto.doc_string}
    return {name: text for name, text in said.items() if text} | {
        entry.key: entry.value for entry in proto.metadata_props
    }


def unzip(proto: Any) -> tuple[str, ...]:
    """Take the `ZipMap`s out, and say which classes the model's classifier knows.

    A `ZipMap` makes a list of dictionaries from a plain tensor of probabilities; the tensor is what can
    be served, and the labels become the names of its columns.
    """
    import onnx  # noqa: PLC0415 (heavy)

    classes = _classifier_labels(proto)
    outputs = {value.name: value for value in proto.graph.output}
    zipped = [node for node in proto.graph.node if node.op_type == "ZipMap" and node.output[0] in outputs]
    for node in zipped:
        value = outputs[node.output[0]]
        plain = onnx.helper.make_tensor_value_info(value.name, onnx.TensorProto.FLOAT, [None, len(classes)])
        value.CopyFrom(plain)
        node.op_type, node.domain = "Identity", ""
        del node.attribute[:]
    return classes


def name_outputs(proto: Any, classes: tuple[str, ...]) -> str:
    """Call the outputs of a classifier `label` and `probabilities`; the model's task, empty if unknown."""
    if not classes:
        return ""
    import onnx  # noqa: PLC0415 (heavy)

    kinds = (onnx.TensorProto.INT64, onnx.TensorProto.STRING)
    labels = [v.name for v in proto.graph.output if v.type.tensor_type.elem_type in kinds]
    shares = [
        value.name
        for value in proto.graph.output
        if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT and _last(value) in (len(classes), 0)
    ]
    if len(labels) > 1 or len(shares) > 1 or not labels + shares:
        return ""
    names = dict.fromkeys(labels, _LABEL) | dict.fromkeys(shares, _PROBABILITIES)
    taken = {value.name for value in proto.graph.input}
    if taken.isdisjoint(names.values()):
        rename(proto.graph, names)
    return "classification"


def labels_in(metadata: Mapping[str, str], width: int) -> tuple[str, ...]:
    """The *width* class names that somebody wrote into the metadata; none if there are no such."""
    for key in _KEYS:
        names = _listed(metadata.get(key, ""))
        if len(names) == width and len(set(names)) == width:
            return names
    return ()


def _classifier_labels(proto: Any) -> tuple[str, ...]:
    """The classes, if all classifiers of the model agree on them."""
    found = {
        tuple(str(_text(value)) for value in (*attribute.strings, *attribute.ints))
        for node in nodes_of(proto)
        if node.op_type in _CLASSIFIERS and node.domain == "ai.onnx.ml"
        for attribute in node.attribute
        if attribute.name.startswith("classlabels_") and (attribute.strings or attribute.ints)
    }
    return found.pop() if len(found) == 1 else ()


def _text(value: Any) -> Any:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _last(value: Any) -> int:
    dims = value.type.tensor_type.shape.dim
    return int(dims[-1].dim_value) if dims else 0


def _listed(text: str) -> tuple[str, ...]:
    """The entries of a list, or the values of a numbered dictionary, as JSON or as Python writes them."""
    for read in (json.loads, ast.literal_eval):
        try:
            found = read(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        if isinstance(found, dict):
            found = [found[key] for key in sorted(found, key=_number)]
        if isinstance(found, list | tuple):
            return tuple(str(entry) for entry in found)
    return ()


def _number(key: Any) -> tuple[int, str]:
    return (int(key), "") if str(key).isdecimal() else (1 << 31, str(key))
