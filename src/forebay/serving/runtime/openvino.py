"""OpenVINO on the CPU: IR files (`model.xml` with its `model.bin`), and ONNX files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from forebay.core import Array, ArtifactInfo, DataType, Signature, Tensors, TensorSpec
from forebay.core.errors import Died, Malformed
from forebay.core.extras import need
from forebay.serving.runtime.backend import Backend, Budget
from forebay.serving.runtime.memory import give_back

_TYPES = {
    "boolean": DataType.BOOL,
    "u8": DataType.UINT8,
    "u16": DataType.UINT16,
    "u32": DataType.UINT32,
    "u64": DataType.UINT64,
    "i8": DataType.INT8,
    "i16": DataType.INT16,
    "i32": DataType.INT32,
    "i64": DataType.INT64,
    "f16": DataType.FP16,
    "bf16": DataType.BF16,
    "f32": DataType.FP32,
    "f64": DataType.FP64,
}
_READ = (".xml", ".onnx")  # OpenVINO would read more, some of it with code inside


class OpenVinoBackend(Backend):
    """One compiled model with one stream.

    Floats are computed in f32 unless the artifact asks for bf16: OpenVINO's own choice is bf16 wherever the
    processor has it, and moves probabilities by 1e-3.
    """

    def __init__(self, path: Path, info: ArtifactInfo, budget: Budget) -> None:
        """Load *path*; raises `Malformed` when OpenVINO refuses it, `Unsupported` without OpenVINO."""
        if path.suffix not in _READ:
            raise Malformed(f"{path.name} is neither OpenVINO IR (.xml) nor ONNX (.onnx); convert it first")
        self._ov: Any = need("openvino", "openvino")
        try:
            model = self._ov.Core().read_model(path)
            _refuse_text(model)
            self._compiled: Any = self._ov.Core().compile_model(model, "CPU", _options(info, budget))
            self._request: Any = self._compiled.create_infer_request()
        except RuntimeError as error:
            raise Malformed(f"OpenVINO cannot load {path.name}: {_in_words(error)}") from error
        self._signature = Signature(
            _specs(self._compiled.inputs, info.signature.inputs, "input"),
            _specs(self._compiled.outputs, info.signature.outputs, "output"),
        )
        self._places = {spec.name: i for i, spec in enumerate(self._signature.outputs)}

    @property
    def signature(self) -> Signature:
        return self._signature

    def run(self, inputs: Tensors, outputs: Sequence[str]) -> Tensors:
        request = self._request
        if request is None:
            raise Died("this version has been unloaded")
        places = {i: self._tensor(inputs[spec.name], spec) for i, spec in enumerate(self._signature.inputs)}
        try:
            for place, tensor in places.items():
                request.set_input_tensor(place, tensor)
            request.infer()
        except RuntimeError as error:
            raise Malformed(f"the model refused its input: {_in_words(error)}") from error
        return {name: self._output(self._places[name]) for name in outputs}

    def close(self) -> None:
        if self._request is not None:
            self._request = self._compiled = None
            give_back()

    def _tensor(self, array: Array, spec: TensorSpec) -> Any:
        """*array* itself as OpenVINO's tensor; BF16 comes as its bits."""
        array = np.ascontiguousarray(array)
        if spec.datatype is DataType.BF16:
            return self._ov.Tensor(array, self._ov.Shape(array.shape), self._ov.Type.bf16)
        return self._ov.Tensor(array, shared_memory=True)

    def _output(self, place: int) -> Array:
        """A copy: the request's own memory is written anew by the next batch."""
        data: Array = self._request.get_output_tensor(place).data
        bf16 = self._signature.outputs[place].datatype is DataType.BF16
        return data.view(np.uint16).copy() if bf16 else data.copy()


def open_openvino(folder: Path, info: ArtifactInfo, budget: Budget) -> OpenVinoBackend:
    """The `Opener` for artifacts with the backend `openvino`."""
    return OpenVinoBackend(folder / info.model, info, budget)


def _options(info: ArtifactInfo, budget: Budget) -> dict[str, Any]:
    return {
        "INFERENCE_PRECISION_HINT": info.precision,
        "INFERENCE_NUM_THREADS": budget.threads,
        "NUM_STREAMS": 1,
        "ENABLE_CPU_PINNING": False,  # other lanes and processes are at home on these cores too
    }


def _refuse_text(model: Any) -> None:
    for port in (*model.inputs, *model.outputs):
        if port.get_element_type().get_type_name() == "string":
            raise Malformed(
                f"{min(port.names, default='a tensor')!r} is text, which OpenVINO does not compute here; "
                "serve the ONNX file with the backend `onnxruntime`"
            )


def _specs(ports: Sequence[Any], declared: Sequence[TensorSpec], what: str) -> tuple[TensorSpec, ...]:
    wanted = {spec.name for spec in declared}
    return tuple(_spec(port, wanted, f"{what}_{i}") for i, port in enumerate(ports))


def _spec(port: Any, wanted: set[str], otherwise: str) -> TensorSpec:
    """A port may have several names, in no order: the declared one, the first by alphabet, or its place."""
    name = min(port.names & wanted, default=None) or min(port.names, default=otherwise)
    kind = port.get_element_type().get_type_name()
    if kind not in _TYPES:
        raise Malformed(
            f"{name!r} is of OpenVINO's type {kind}, which no protocol carries; convert it to f32"
        )
    shape = port.get_partial_shape()
    if shape.rank.is_dynamic:
        return TensorSpec(name, _TYPES[kind], ())
    sizes = tuple(-1 if size.is_dynamic else size.get_length() for size in shape)
    return TensorSpec(name, _TYPES[kind], sizes)


def _in_words(error: BaseException) -> str:
    """The last line says what; those before it say where in OpenVINO's source."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
