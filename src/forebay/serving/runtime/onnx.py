"""ONNX Runtime."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from forebay.core import Array, ArtifactInfo, DataType, Signature, Tensors, TensorSpec
from forebay.core.errors import Died, Malformed
from forebay.serving.runtime.arena import Arena
from forebay.serving.runtime.backend import Backend, Budget
from forebay.serving.runtime.memory import give_back

_TYPES = {
    "tensor(bool)": DataType.BOOL,
    "tensor(uint8)": DataType.UINT8,
    "tensor(uint16)": DataType.UINT16,
    "tensor(uint32)": DataType.UINT32,
    "tensor(uint64)": DataType.UINT64,
    "tensor(int8)": DataType.INT8,
    "tensor(int16)": DataType.INT16,
    "tensor(int32)": DataType.INT32,
    "tensor(int64)": DataType.INT64,
    "tensor(float16)": DataType.FP16,
    "tensor(bfloat16)": DataType.BF16,
    "tensor(float)": DataType.FP32,
    "tensor(double)": DataType.FP64,
    "tensor(string)": DataType.BYTES,
}
_ONNX_BFLOAT16 = 16  # TensorProto.BFLOAT16
_QUIET = 3  # errors only: warnings about a graph belong to the one who converts it

_EMPTYING = ort.RunOptions()
_EMPTYING.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")


class OnnxBackend(Backend):
    """One ONNX Runtime session on the CPU."""

    def __init__(self, path: Path, budget: Budget) -> None:
        """Load *path*; raises `Malformed` when ONNX Runtime refuses it."""
        options = ort.SessionOptions()
        options.log_severity_level = _QUIET
        options.intra_op_num_threads = budget.threads
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", str(int(budget.spin)))
        try:
            self._session: Any = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime raises classes of its own making
            raise Malformed(f"ONNX Runtime cannot load {path.name}: {_first_line(error)}") from error
        self._signature = Signature(
            tuple(_spec(node) for node in self._session.get_inputs()),
            tuple(_spec(node) for node in self._session.get_outputs()),
        )
        self._arena = Arena()
        self._bf16 = any(
            spec.datatype is DataType.BF16 for spec in (*self._signature.inputs, *self._signature.outputs)
        )
        self._text = tuple(spec.name for spec in self._signature.inputs if spec.datatype is DataType.BYTES)

    @property
    def signature(self) -> Signature:
        return self._signature

    def run(self, inputs: Tensors, outputs: Sequence[str]) -> Tensors:
        session = self._session
        if session is None:
            raise Died("this version has been unloaded")
        if self._text:
            inputs = {**inputs, **{name: _as_text(name, inputs[name]) for name in self._text}}
        try:
            if self._bf16:
                values = self._run_bits(outputs, inputs)
            else:
                values = session.run(outputs, inputs, self._options(inputs))
        except Exception as error:  # see above
            raise Malformed(f"the model refused its input: {_first_line(error)}") from error
        return dict(zip(outputs, values, strict=True))

    def _options(self, inputs: Tensors) -> Any:
        size_bytes = 0
        for array in inputs.values():
            size_bytes += array.nbytes
        return _EMPTYING if self._arena.to_empty(size_bytes) else None

    def _run_bits(self, outputs: Sequence[str], inputs: Tensors) -> list[Array]:
        """As `session.run`, for models with BF16, which NumPy cannot say: its bits travel as uint16."""
        values = {
            spec.name: _value_of(inputs[spec.name], spec.datatype is DataType.BF16)
            for spec in self._signature.inputs
        }
        options = self._options(inputs)
        return [_array_of(value) for value in self._session.run_with_ort_values(outputs, values, options)]

    def close(self) -> None:
        if self._session is not None:
            self._session = None
            give_back()


def open_onnx(folder: Path, info: ArtifactInfo, budget: Budget) -> OnnxBackend:
    """The `Opener` for artifacts with the backend `onnxruntime`."""
    return OnnxBackend(folder / info.model, budget)


def _spec(node: Any) -> TensorSpec:
    datatype = _TYPES.get(node.type)
    if datatype is None:
        raise Malformed(
            f"{node.name!r} is a {node.type}; a served model takes and gives plain tensors "
            "(for scikit-learn, convert with zipmap switched off)"
        )
    shape = tuple(size if isinstance(size, int) else -1 for size in node.shape)
    return TensorSpec(node.name, datatype, shape)


def _value_of(array: Array, bf16: bool) -> Any:
    if bf16:
        return ort.OrtValue.ortvalue_from_numpy_with_onnx_type(np.ascontiguousarray(array), _ONNX_BFLOAT16)
    return ort.OrtValue.ortvalue_from_numpy(array)


def _array_of(value: Any) -> Array:
    if value.data_type() != "tensor(bfloat16)":
        return np.asarray(value.numpy())
    shape = tuple(value.shape())
    count = math.prod(shape)
    if not count:
        return np.zeros(shape, np.uint16)
    bits = (ctypes.c_uint16 * count).from_address(value.data_ptr())
    return np.frombuffer(bits, np.uint16).copy().reshape(shape)


def _as_text(name: str, array: Array) -> Array:
    """ONNX Runtime's strings are `str`; on the wire they may be `bytes`."""
    if not any(isinstance(item, bytes) for item in array.flat):
        return array
    text = np.empty(array.size, dtype=object)
    try:
        text[:] = [item.decode() if isinstance(item, bytes) else item for item in array.flat]
    except UnicodeDecodeError as error:
        raise Malformed(f"input {name!r} has bytes that are not UTF-8, and the model takes text") from error
    return text.reshape(array.shape)


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
