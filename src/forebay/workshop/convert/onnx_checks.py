"""Whether an ONNX file is sound, found out before anything of it is executed."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from forebay.core.artifact import checked_path
from forebay.core.errors import Malformed, Unsupported
from forebay.workshop.convert.looks import looks_like
from forebay.workshop.convert.running import first_line, runtime_name

LARGEST_BYTES = (1 << 31) - 1
"""Protobuf's own limit for one message."""

_OLDEST_OPSET = 7
_DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml", "com.microsoft"})


def checked_onnx(path: Path) -> Any:
    """The model in *path*, its external weights not yet read.

    Raises `Malformed` for what is no ONNX, damaged, or of another version than ONNX Runtime reads, for
    weights outside its folder or not whole, and for a graph whose types or shapes contradict each other;
    `Unsupported` for operators that are not the runtime's own.
    """
    proto = _parsed(path)
    _check_versions(path.name, proto)
    _check_operators(path.name, proto)
    for tensor in tensors_of(proto):
        _check_weights(path, tensor)
    _check_graph(path)
    return proto


def external_files(proto: Any) -> set[str]:
    """The paths of the files in which *proto* keeps weights, relative to its own."""
    return {_entries(tensor)["location"] for tensor in tensors_of(proto) if "location" in _entries(tensor)}


def tensors_of(proto: Any) -> Iterator[Any]:
    """Every constant of the model: weights, sparse ones, and those in attributes and inner graphs."""
    for graph in graphs_of(proto):
        yield from graph.initializer
        for sparse in graph.sparse_initializer:
            yield from (sparse.values, sparse.indices)
    for node in nodes_of(proto):
        for attribute in node.attribute:
            yield from attribute.tensors
            if attribute.HasField("t"):
                yield attribute.t
            for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
                yield from (sparse.values, sparse.indices)


def nodes_of(proto: Any) -> Iterator[Any]:
    """Every node of the model, also of inner graphs and of its own functions."""
    for graph in graphs_of(proto):
        yield from graph.node
    for function in proto.functions:
        yield from function.node


def graphs_of(proto: Any) -> Iterator[Any]:
    """The graph, and the graphs inside its nodes (`If`, `Loop`) at any depth."""
    waiting = [proto.graph]
    waiting += [graph for function in proto.functions for graph in _inner(function.node)]
    while waiting:
        graph = waiting.pop()
        yield graph
        waiting += _inner(graph.node)


def _inner(nodes: Any) -> list[Any]:
    found: list[Any] = []
    for node in nodes:
        for attribute in node.attribute:
            found += [attribute.g] if attribute.HasField("g") else []
            found += attribute.graphs
    return found


def _parsed(path: Path) -> Any:
    import onnx  # noqa: PLC0415 (heavy)
    from google.protobuf.message import DecodeError  # noqa: PLC0415 (heavy)

    size = path.stat().st_size
    if size > LARGEST_BYTES:
        raise Malformed(
            f"{path.name!r} has {size / 1e9:.1f} GB, and one ONNX file holds at most 2 GiB; save the weights "
            "beside it: onnx.save(model, path, save_as_external_data=True)"
        )
    what = looks_like(path)
    if what:
        raise Malformed(f"{path.name!r} is no ONNX model: it is {what}")
    try:
        proto = onnx.load(str(path), load_external_data=False)
    except DecodeError:
        raise Malformed(f"{path.name!r} is no ONNX model, or is damaged") from None
    if not proto.ir_version or not proto.graph.node or not proto.graph.output:
        raise Malformed(f"{path.name!r} is no ONNX model, or is damaged: it holds no graph")
    return proto


def _check_versions(name: str, proto: Any) -> None:
    newest_ir, newest_opset = _runtime_reads()
    opset = max((entry.version for entry in proto.opset_import if entry.domain in ("", "ai.onnx")), default=0)
    if opset and opset < _OLDEST_OPSET:
        raise Unsupported(
            f"{name!r} has operators of version {opset}, and {runtime_name()} reads {_OLDEST_OPSET} and "
            "later; bring it up: onnx.version_converter.convert_version(model, 18)"
        )
    if opset > newest_opset or proto.ir_version > newest_ir:
        raise Unsupported(
            f"{name!r} has operators of version {opset} (IR {proto.ir_version}), and {runtime_name()} reads "
            f"up to {newest_opset} (IR {newest_ir}); export it again with opset_version={min(opset, 18)}"
        )


@functools.cache
def _runtime_reads() -> tuple[int, int]:
    """The newest IR and the newest operators that the runtime here loads, found by trying."""
    import onnx  # noqa: PLC0415 (heavy)

    newest_ir = next(v for v in range(int(onnx.IR_VERSION) + 8, 3, -1) if _loads(v, 18))
    newest_opset = next(v for v in range(onnx.defs.onnx_opset_version() + 8, 6, -1) if _loads(newest_ir, v))
    return newest_ir, newest_opset


def _loads(ir_version: int, opset: int) -> bool:
    import onnxruntime  # noqa: PLC0415 (heavy)
    from onnx import TensorProto, helper  # noqa: PLC0415 (heavy)

    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "one", [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir_version)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception:  # noqa: BLE001 (ONNX Runtime raises classes of its own making)
        return False
    return True


def _check_operators(name: str, proto: Any) -> None:
    own = {function.domain for function in proto.functions}
    strange = {(n.domain, n.op_type) for n in nodes_of(proto) if n.domain not in _DOMAINS | own}
    if strange:
        told = ", ".join(f"{domain}.{kind}" for domain, kind in sorted(strange)[:5])
        raise Unsupported(
            f"{name!r} needs operators of its own ({told}), which are code in a library; "
            "export it with ONNX's own operators"
        )


def _check_weights(path: Path, tensor: Any) -> None:
    entries = _entries(tensor)
    if "location" not in entries:
        return
    location = checked_path(entries["location"])
    file = path.parent / location
    if not file.resolve().is_relative_to(path.parent.resolve()):
        raise Malformed(f"the model's weights in {location!r} lie outside its folder")
    if not file.is_file():
        raise Malformed(f"the model's weights are in {location!r}, which is not among the files")
    start, length = entries.get("offset", "0"), entries.get("length", "0")
    if not (start.isdecimal() and length.isdecimal()):
        raise Malformed(f"the model says no good place for its weights in {location!r}: {start}, {length}")
    ends = int(start) + int(length)
    if ends > file.stat().st_size:
        raise Malformed(
            f"{location!r} is cut off: the weights of the model end at byte {ends}, the file does at "
            f"{file.stat().st_size}"
        )


def _entries(tensor: Any) -> dict[str, str]:
    return {entry.key: entry.value for entry in tensor.external_data} if tensor.data_location else {}


def _check_graph(path: Path) -> None:
    import onnx  # noqa: PLC0415 (heavy)

    try:
        onnx.checker.check_model(str(path), full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise Malformed(f"{path.name!r} is no sound ONNX model: {first_line(error)}") from error
