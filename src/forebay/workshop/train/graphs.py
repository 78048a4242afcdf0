"""One ONNX graph out of several: whole models and single operators put together, names never clashing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from forebay.core import DataType, TensorSpec
from forebay.core.errors import Unsupported

_OPSET = 18
_OPSETS = {"": _OPSET, "ai.onnx.ml": 3}
_IR_VERSION = 10


class Canvas:
    """A graph that grows. Values are named by the strings that its methods return."""

    def __init__(self) -> None:
        self._nodes: list[Any] = []
        self._kept: list[Any] = []
        self._domains = dict(_OPSETS)
        self._parts = 0

    def include(self, model: Any, inputs: Mapping[str, str]) -> list[str]:
        """Add all of *model*, its inputs fed from the values that *inputs* names; its outputs' names."""
        model = _at_our_opset(model)
        self._parts += 1
        names = dict(inputs)
        prefix = f"part{self._parts}/"
        for node in model.graph.node:
            copied = type(node)()
            copied.CopyFrom(node)
            copied.input[:] = [_renamed(name, names, prefix) for name in node.input]
            copied.output[:] = [_renamed(name, names, prefix) for name in node.output]
            copied.name = f"{prefix}{len(self._nodes)}"
            self._nodes.append(copied)
        for value in model.graph.initializer:
            copied = type(value)()
            copied.CopyFrom(value)
            copied.name = _renamed(value.name, names, prefix)
            self._kept.append(copied)
        for opset in model.opset_import:
            self._domains[opset.domain] = max(self._domains.get(opset.domain, 0), opset.version)
        return [_renamed(value.name, names, prefix) for value in model.graph.output]

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add one operator of the default domain; its first output's name."""
        return self.ops(kind, 1, *inputs, **attributes)[0]

    def ops(self, kind: str, outputs: int, *inputs: str, **attributes: Any) -> list[str]:
        """Add one operator with several outputs."""
        from onnx import helper  # noqa: PLC0415 (heavy)

        made = [f"{kind.lower()}{len(self._nodes)}_{place}" for place in range(outputs)]
        self._nodes.append(helper.make_node(kind, list(inputs), made, **attributes))
        return made

    def op_of(self, domain: str, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add one operator of another *domain*."""
        made = self.op(kind, *inputs, **attributes)
        self._nodes[-1].domain = domain
        return made

    def cast(self, value: str, datatype: DataType) -> str:
        """*value* as another datatype."""
        return self.op("Cast", value, to=_kind(datatype))

    def constant(self, values: Any) -> str:
        """A value that is always the same: an array, or texts."""
        from onnx import numpy_helper  # noqa: PLC0415 (heavy)

        array = np.asarray(values)
        if array.dtype.kind in "US":
            array = array.astype(object)
        name = f"constant{len(self._kept)}"
        self._kept.append(numpy_helper.from_array(array, name))
        return name

    def name(self, value: str, name: str) -> None:
        """Let *value* be called *name* as well: an output."""
        from onnx import helper  # noqa: PLC0415 (heavy)

        self._nodes.append(helper.make_node("Identity", [value], [name]))

    def model(self, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]) -> Any:
        """The finished model."""
        from onnx import helper  # noqa: PLC0415 (heavy)

        graph = helper.make_graph(
            self._nodes, "forebay", list(map(_info, inputs)), list(map(_info, outputs)), self._kept
        )
        opsets = [helper.make_opsetid(domain, version) for domain, version in sorted(self._domains.items())]
        return helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION, producer_name="forebay")


def _renamed(name: str, names: dict[str, str], prefix: str) -> str:
    return names.setdefault(name, prefix + name) if name else name


def _at_our_opset(model: Any) -> Any:
    """*model* with the operators of our version; raises `Unsupported` for what only newer ones have."""
    import onnx  # noqa: PLC0415 (heavy)

    if model.functions or any(_has_graphs(node) for node in model.graph.node):
        raise Unsupported("this model's graph has graphs inside, which cannot be put together with others")
    version = max((entry.version for entry in model.opset_import if entry.domain == ""), default=_OPSET)
    if version == _OPSET or not any(node.domain == "" for node in model.graph.node):
        return model
    return onnx.version_converter.convert_version(model, _OPSET)


def _has_graphs(node: Any) -> bool:
    return any(attribute.HasField("g") or attribute.graphs for attribute in node.attribute)


def _info(spec: TensorSpec) -> Any:
    from onnx import helper  # noqa: PLC0415 (heavy)

    shape = [None if size == -1 else size for size in spec.shape]
    return helper.make_tensor_value_info(spec.name, _kind(spec.datatype), shape)


def _kind(datatype: DataType) -> int:
    from onnx import TensorProto  # noqa: PLC0415 (heavy)

    names = {DataType.FP32: "FLOAT", DataType.BYTES: "STRING"}
    return int(TensorProto.DataType.Value(names.get(datatype, datatype.value)))


def loaded(content: bytes | Path) -> Any:
    """The ONNX model in *content*, or in the file that it names."""
    import onnx  # noqa: PLC0415 (heavy)

    return onnx.load_model_from_string(content if isinstance(content, bytes) else content.read_bytes())
