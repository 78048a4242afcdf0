"""A converted model, run the way a node will run it."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

from forebay.core import ArtifactInfo, Signature, Tensors
from forebay.serving.runtime import Backend, Budget, open_backend


def open_bytes(model: bytes) -> Backend:
    """Load an ONNX model that is no file yet; raises `Malformed`."""
    info = ArtifactInfo(Signature((), ()))
    with TemporaryDirectory() as folder:
        (Path(folder) / info.model).write_bytes(model)
        return open_backend(Path(folder), info, Budget())


def answer(backend: Backend, inputs: Tensors) -> Tensors:
    """All outputs for *inputs*; raises `Malformed` when the model cannot."""
    return backend.run(inputs, [spec.name for spec in backend.signature.outputs])


def runtime_name() -> str:
    """What runs the model, with its version."""
    return f"onnxruntime {version('onnxruntime')}"


def first_line(error: BaseException) -> str:
    """What *error* says, as far as it fits into a sentence."""
    return str(error).strip().partition("\n")[0][:300]
