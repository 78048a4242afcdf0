"""A converted model, run the way a node will run it."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from forebay.core import DataType, Tensors, TensorSpec
from forebay.core.errors import Malformed, Unsupported

_DATATYPES = {
    "bool": DataType.BOOL,
    "uint8": DataType.UINT8,
    "uint16": DataType.UINT16,
    "uint32": DataType.UINT32,
    "uint64": DataType.UINT64,
    "int8": DataType.INT8,
    "int16": DataType.INT16,
    "int32": DataType.INT32,
    "int64": DataType.INT64,
    "float16": DataType.FP16,
    "bfloat16": DataType.BF16,
    "float": DataType.FP32,
    "double": DataType.FP64,
    "string": DataType.BYTES,
}


class Running:
    """An ONNX Runtime session over a model's bytes or file; raises `Malformed` when it cannot be loaded."""

    def __init__(self, model: bytes | Path) -> None:
        import onnxruntime  # noqa: PLC0415 (heavy)

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        self.runtime = f"onnxruntime {onnxruntime.__version__}"
        source = str(model) if isinstance(model, Path) else model
        try:
            self._session = onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
        except _runtime_errors() as error:
            raise Malformed(f"ONNX Runtime cannot load the model: {first_line(error)}") from error
        self._outputs = [output.name for output in self._session.get_outputs()]

    @property
    def input_specs(self) -> tuple[TensorSpec, ...]:
        """The inputs, as the graph declares them."""
        return tuple(_spec(value) for value in self._session.get_inputs())

    @property
    def output_specs(self) -> tuple[TensorSpec, ...]:
        """The outputs, as the graph declares them."""
        return tuple(_spec(value) for value in self._session.get_outputs())

    def answer(self, inputs: Tensors) -> Tensors:
        """All outputs for *inputs*; raises `Malformed` when the model cannot."""
        try:
            return dict(zip(self._outputs, self._session.run(None, inputs), strict=True))
        except _runtime_errors() as error:
            raise Malformed(f"the model fails on these rows: {first_line(error)}") from error


def _spec(value: Any) -> TensorSpec:
    name = value.type.removeprefix("tensor(").removesuffix(")")
    if name not in _DATATYPES:
        raise Unsupported(f"{value.name!r} is a {value.type}; a served model takes and gives plain tensors")
    shape = tuple(size if isinstance(size, int) else -1 for size in value.shape)
    return TensorSpec(value.name, _DATATYPES[name], shape)


def first_line(error: BaseException) -> str:
    """What *error* says, as far as it fits into a sentence."""
    return str(error).strip().partition("\n")[0][:300]


@functools.cache
def _runtime_errors() -> tuple[type[Exception], ...]:
    """Everything that ONNX Runtime raises; its errors share no base class but `Exception`."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state  # noqa: PLC0415 (heavy)

    named = (getattr(state, name) for name in dir(state))
    return tuple(found for found in named if isinstance(found, type) and issubclass(found, Exception))
