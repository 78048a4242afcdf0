"""An exported graph for everybody's eyes: human names, and nothing of the machine it was made on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from forebay.core import Signature
from forebay.core.errors import Unsupported
from forebay.workshop.convert.graph import rename

_HALF = 16 * 2.0**-10
"""Sixteen units in the last place of float16: what a few layers add up to."""


def unknown_operators(proto: Any) -> list[str]:
    """The operators that are none: exporters write what they do not know by its own name."""
    import onnx  # noqa: PLC0415 (heavy)

    local = {(function.domain, function.name) for function in proto.functions}
    return sorted(
        {
            node.op_type
            for node in proto.graph.node
            if node.domain in ("", "ai.onnx")
            and not onnx.defs.has(node.op_type)
            and (node.domain, node.op_type) not in local
        }
    )


def rounding_of(proto: Any) -> float:
    """What the graph's own precision loses in a few steps of half precision; raises `Unsupported`."""
    from onnx import TensorProto  # noqa: PLC0415 (heavy)

    found = {weight.data_type for weight in proto.graph.initializer}
    found |= {
        attribute.i
        for node in proto.graph.node
        if node.op_type == "Cast"
        for attribute in node.attribute
        if attribute.name == "to"
    }
    if TensorProto.BFLOAT16 in found:
        raise Unsupported(
            "the network computes in bfloat16, which ONNX Runtime does not; publish it in float32: "
            "model.float() in PyTorch, keras.config.set_dtype_policy('float32') before it is built in Keras"
        )
    return _HALF if TensorProto.FLOAT16 in found else 0.0


def mend(proto: Any) -> None:
    """Write `Erfc`, which tf2onnx leaves in the graph and ONNX does not have, as 1 - `Erf`."""
    from onnx import TensorProto, helper  # noqa: PLC0415 (heavy)

    nodes = []
    for node in proto.graph.node:
        if node.op_type != "Erfc":
            nodes.append(node)
            continue
        erf, one = f"{node.output[0]}__erf", f"{node.output[0]}__one"
        proto.graph.initializer.append(helper.make_tensor(f"{one}_f", TensorProto.FLOAT, [], [1.0]))
        nodes += [
            helper.make_node("Erf", [node.input[0]], [erf]),
            helper.make_node("CastLike", [f"{one}_f", erf], [one]),
            helper.make_node("Sub", [one, erf], [node.output[0]]),
        ]
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)


def tidy(proto: Any, inputs: Sequence[str], outputs: Sequence[str]) -> None:
    """Name the graph's inputs and outputs, in this order, and forget paths and traces of the exporter."""
    graph = proto.graph
    weights = {weight.name for weight in graph.initializer}
    takes = [value.name for value in graph.input if value.name not in weights]
    gives = [value.name for value in graph.output]
    _check_count("input", inputs, takes)
    _check_count("output", outputs, gives)
    takes = _in_order(inputs, takes)
    _make_apart(graph)
    rename(graph, dict(zip(takes, inputs, strict=True)) | dict(zip(gives, outputs, strict=True)))
    by_name = {value.name: value for value in graph.input}
    ordered = [by_name.pop(name) for name in inputs] + list(by_name.values())
    del graph.input[:]
    graph.input.extend(ordered)
    _forget(proto)


def _check_count(what: str, wanted: Sequence[str], found: Sequence[str]) -> None:
    if len(wanted) != len(found):
        raise Unsupported(
            f"the network has the {what}s {list(wanted)}, and the exported graph {list(found)}; "
            f"leave out an {what} that has no part in the answer"
        )


def _in_order(wanted: Sequence[str], found: list[str]) -> list[str]:
    """Exporters keep either the names or the order."""
    plain = {name.partition(":")[0]: name for name in found}
    return [plain[name] for name in wanted] if set(plain) == set(wanted) else found


def _make_apart(graph: Any) -> None:
    """An output that is an input as well, or a second output, gets a value of its own."""
    import onnx  # noqa: PLC0415 (heavy)

    seen = {value.name for value in graph.input} | {value.name for value in graph.initializer}
    for number, value in enumerate(graph.output):
        if value.name in seen:
            apart = f"{value.name}__given_{number}"
            graph.node.append(onnx.helper.make_node("Identity", [value.name], [apart]))
            value.name = apart
        seen.add(value.name)


def _forget(proto: Any) -> None:
    del proto.metadata_props[:]
    del proto.graph.metadata_props[:]
    del proto.graph.value_info[:]
    proto.doc_string = proto.graph.doc_string = ""
    proto.graph.name = "network"
    for node in (*proto.graph.node, *(node for function in proto.functions for node in function.node)):
        del node.metadata_props[:]
        node.doc_string = ""


def declare(graph: Any, signature: Signature) -> None:
    """Write the shapes of *signature* into the graph, whose exporter may have known less."""
    specs = {spec.name: spec for spec in (*signature.inputs, *signature.outputs)}
    for value in (*graph.input, *graph.output):
        if value.name not in specs:
            continue
        shape = value.type.tensor_type.shape
        del shape.dim[:]
        for axis, size in enumerate(specs[value.name].shape):
            dimension = shape.dim.add()
            if size >= 0:
                dimension.dim_value = size
            else:
                dimension.dim_param = "batch" if axis == 0 else f"{value.name}_{axis}"
