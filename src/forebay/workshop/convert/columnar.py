"""An ONNX graph that takes a table: one matrix, or one input a column, categories as people write them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from forebay.core import DataType
from forebay.core.errors import Malformed
from forebay.workshop.convert.sample import JOINED, Layout

OPSETS = {"": 18, "ai.onnx.ml": 3}
IR_VERSION = 10
_ELEMENTS = {DataType.FP32: "FLOAT", DataType.INT64: "INT64", DataType.BOOL: "BOOL", DataType.BYTES: "STRING"}


def model_of(
    layout: Layout,
    nodes: Sequence[Any],
    outputs: dict[str, tuple[DataType, list[int | None]]],
    categories: Sequence[Sequence[Any] | None],
) -> Any:
    """*nodes* from the float32 matrix `x` to *outputs*, as a model with the inputs that *layout* says.

    *categories* are, for each column, the values whose place in the list is its code. A value that is
    none of them, or missing, is NaN.
    """
    from onnx import helper  # noqa: PLC0415 (heavy)

    before = [] if layout.joined is not None else _joining(layout, categories)
    graph = helper.make_graph(
        [*before, *nodes],
        "forebay",
        _inputs(layout),
        [_value(name, datatype, shape) for name, (datatype, shape) in outputs.items()],
    )
    opsets = [helper.make_opsetid(domain, version) for domain, version in OPSETS.items()]
    return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="forebay")


def _inputs(layout: Layout) -> list[Any]:
    if layout.joined is not None:
        return [_value(JOINED, layout.joined, [None, len(layout.names)])]
    if JOINED in layout.names:
        raise Malformed(f"rename the column {JOINED!r}, which is the name of all columns together")
    return [_value(name, kind, [None, 1]) for name, kind in zip(layout.names, layout.datatypes, strict=True)]


def _value(name: str, datatype: DataType, shape: list[int | None]) -> Any:
    from onnx import TensorProto, helper  # noqa: PLC0415 (heavy)

    element = TensorProto.DataType.Value(_ELEMENTS[datatype])
    return helper.make_tensor_value_info(name, element, shape)


def _joining(layout: Layout, categories: Sequence[Sequence[Any] | None]) -> list[Any]:
    from onnx import helper  # noqa: PLC0415 (heavy)

    nodes, ready = [], []
    for number, (name, datatype) in enumerate(zip(layout.names, layout.datatypes, strict=True)):
        ready.append(f"column_{number}__ready")
        values = categories[number]
        if values is not None:
            nodes += _encoder(name, datatype, values, ready[-1])
        elif datatype is DataType.BYTES:
            raise Malformed(f"the column {name!r} holds texts, and the model was fitted on numbers there")
        else:
            nodes.append(helper.make_node("Cast", [name], [ready[-1]], to=1))
    nodes.append(helper.make_node("Concat", ready, [JOINED], axis=1))
    return nodes


def _encoder(name: str, datatype: DataType, values: Sequence[Any], output: str) -> list[Any]:
    """The place of a text or number in *values*; NaN for one that is not in there."""
    from onnx import helper  # noqa: PLC0415 (heavy)

    codes = [float(code) for code in range(len(values))]
    nodes, source = [], name
    if datatype is DataType.BYTES:
        keys: dict[str, Any] = {"keys_strings": [str(value) for value in values]}
    else:
        source = f"{output}__number"
        nodes.append(helper.make_node("Cast", [name], [source], to=1))
        keys = {"keys_floats": [float(value) for value in values]}
    nodes.append(
        helper.make_node(
            "LabelEncoder",
            [source],
            [output],
            domain="ai.onnx.ml",
            values_floats=codes,
            default_float=float(np.nan),
            **keys,
        )
    )
    return nodes
