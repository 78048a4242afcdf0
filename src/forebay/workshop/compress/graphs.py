"""Small operations on ONNX graphs that several steps share."""

from __future__ import annotations

from typing import Any

import numpy as np

from forebay.core import Array

PASSING = frozenset(
    {"Relu", "LeakyRelu", "Sigmoid", "Tanh", "Elu", "Selu", "Clip", "Gelu", "HardSwish", "Softplus"}
    | {"Identity", "Dropout", "MaxPool", "AveragePool", "GlobalAveragePool"}
)
"""What treats each channel alike and for itself."""


def weights_of(proto: Any) -> dict[str, Array]:
    """All initialisers, and constants that are tensors, by name."""
    import onnx  # noqa: PLC0415 (heavy)

    found = {each.name: onnx.numpy_helper.to_array(each) for each in proto.graph.initializer}
    for node in proto.graph.node:
        if node.op_type == "Constant" and node.attribute and node.attribute[0].name == "value":
            found[node.output[0]] = onnx.numpy_helper.to_array(node.attribute[0].t)
    return found


def put_weights(proto: Any, weights: dict[str, Array]) -> None:
    """Let initialisers of these names hold these values; constants of the same name go."""
    import onnx  # noqa: PLC0415 (heavy)

    constants = [n for n in proto.graph.node if n.op_type == "Constant" and n.output[0] in weights]
    for node in constants:
        proto.graph.node.remove(node)
    by_name = {each.name: each for each in proto.graph.initializer}
    for name, values in weights.items():
        tensor = onnx.numpy_helper.from_array(np.ascontiguousarray(values), name)
        if name in by_name:
            by_name[name].CopyFrom(tensor)
        else:
            proto.graph.initializer.append(tensor)


def attributes(node: Any) -> dict[str, Any]:
    """A node's attributes by name."""
    import onnx  # noqa: PLC0415 (heavy)

    return {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute}


def consumers(proto: Any, name: str) -> list[Any]:
    """The nodes that read *name*."""
    return [node for node in proto.graph.node if name in node.input]


def is_output(proto: Any, name: str) -> bool:
    """Whether *name* leaves the graph."""
    return any(value.name == name for value in proto.graph.output)


def tidy(proto: Any) -> Any:
    """Drop what nothing reads, and shapes that were true before a change; returns *proto*."""
    kept: list[Any] = []
    wanted = {value.name for value in proto.graph.output}
    for node in reversed(proto.graph.node):
        if any(name in wanted for name in node.output):
            kept.append(node)
            wanted.update(node.input)
    del proto.graph.node[:]
    proto.graph.node.extend(reversed(kept))
    used = [each for each in proto.graph.initializer if each.name in wanted]
    del proto.graph.initializer[:]
    proto.graph.initializer.extend(used)
    del proto.graph.value_info[:]
    return proto


def checked(proto: Any) -> Any:
    """*proto*, tidy, and valid; raises what the checker raises."""
    import onnx  # noqa: PLC0415 (heavy)

    tidy(proto)
    onnx.checker.check_model(proto)
    return proto


def splice(proto: Any, node: Any, instead: list[Any]) -> None:
    """Put *instead* where *node* is."""
    place = list(proto.graph.node).index(node)
    proto.graph.node.remove(node)
    for offset, new in enumerate(instead):
        proto.graph.node.insert(place + offset, new)


def plain_gemm(node: Any) -> bool:
    """Whether *node* is x·W + b without factors, W perhaps transposed."""
    if node.op_type != "Gemm":
        return False
    found = attributes(node)
    return found.get("alpha", 1.0) == 1.0 and found.get("beta", 1.0) == 1.0 and not found.get("transA", 0)
