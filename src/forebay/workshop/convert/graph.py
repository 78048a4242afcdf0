"""Names inside an ONNX graph, changed everywhere at once, and the datatypes of what it gives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from forebay.core import DataType
from forebay.core.errors import Unsupported


def rename(graph: Any, names: Mapping[str, str]) -> None:
    """Give the graph's values the new *names*; whatever had one of them before makes room."""
    wanted = {old: new for old, new in names.items() if old != new}
    taken = _values(graph)
    for new in list(wanted.values()):
        if new in taken and new not in wanted:
            wanted[new] = _free(new, taken)
    for value in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
        value.name = wanted.get(value.name, value.name)
    for node in graph.node:
        node.input[:] = [wanted.get(name, name) for name in node.input]
        node.output[:] = [wanted.get(name, name) for name in node.output]


def keep_outputs(graph: Any, names: list[str]) -> None:
    """Leave only these outputs, in this order, and only the nodes that they need."""
    by_name = {value.name: value for value in graph.output}
    kept = [by_name[name] for name in names]
    del graph.output[:]
    graph.output.extend(kept)
    needed, nodes = set(names), []
    for node in reversed(graph.node):  # ONNX keeps nodes in the order in which they can run
        if needed.intersection(node.output):
            needed.update(node.input)
            nodes.append(node)
    del graph.node[:]
    graph.node.extend(reversed(nodes))
    used = [value for value in graph.initializer if value.name in needed]
    del graph.initializer[:]
    graph.initializer.extend(used)


def _values(graph: Any) -> set[str]:
    found = {value.name for value in (*graph.input, *graph.output, *graph.initializer)}
    return found.union(*(node.output for node in graph.node))


def _free(name: str, taken: set[str]) -> str:
    number = 1
    while f"{name}__{number}" in taken:
        number += 1
    taken.add(f"{name}__{number}")
    return f"{name}__{number}"


def datatypes_of_outputs(graph: Any) -> dict[str, DataType]:
    """The datatype of each output; raises `Unsupported` for one that is no plain tensor."""
    import onnx  # noqa: PLC0415 (heavy)

    found = {}
    for value in graph.output:
        name = onnx.TensorProto.DataType.Name(value.type.tensor_type.elem_type)
        if name not in _DATATYPES:
            raise Unsupported(f"the output {value.name!r} is no plain tensor, but {name}; leave it out")
        found[value.name] = _DATATYPES[name]
    return found


_DATATYPES = {
    "FLOAT": DataType.FP32,
    "DOUBLE": DataType.FP64,
    "FLOAT16": DataType.FP16,
    "BFLOAT16": DataType.BF16,
    "STRING": DataType.BYTES,
    "BOOL": DataType.BOOL,
    **{name: DataType[name] for name in ("INT8", "INT16", "INT32", "INT64")},
    **{name: DataType[name] for name in ("UINT8", "UINT16", "UINT32", "UINT64")},
}
