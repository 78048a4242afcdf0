"""What the Open Inference Protocol calls a model's configuration, as Triton's clients read it.

Clients decide by the presence of a key (a `sequence_batching` makes a sequence model of it), so what
a model has not is left out, never empty.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from forebay.core import DataType, Signature, TensorSpec

_MICROSECONDS = 1e6


@dataclass(frozen=True, slots=True)
class Served:
    """What there is to say of a version: how it is executed, and how its batches are made."""

    model: str
    versions: tuple[int, ...]
    backend: str
    file: str
    signature: Signature
    batch_rows: int
    wait_s: float


def platform_of(backend: str, file: str) -> str:
    """The protocol's word for who executes what.

    >>> platform_of("onnxruntime", "model.onnx")
    'onnxruntime_onnx'
    """
    return f"{backend}_onnx" if file.endswith(".onnx") else backend


def described(served: Served) -> dict[str, Any]:
    """The configuration, as JSON has it; names and numbers are those of the message `ModelConfig`."""
    batches = served.signature.batches
    config: dict[str, Any] = {
        "name": served.model,
        "platform": platform_of(served.backend, served.file),
        "backend": served.backend,
        "version_policy": {"specific": {"versions": list(served.versions)}},
        "max_batch_size": served.batch_rows if batches else 0,
        "input": list(_inputs(served.signature.inputs, batches)),
        "output": list(_outputs(served.signature.outputs, batches)),
        "instance_group": [{"name": served.model, "kind": "KIND_CPU", "count": 1}],
        "default_model_filename": served.file,
    }
    if batches:
        delay_us = round(served.wait_s * _MICROSECONDS)
        config["dynamic_batching"] = {"max_queue_delay_microseconds": delay_us}
    return config


def _inputs(specs: Iterable[TensorSpec], batches: bool) -> Iterable[dict[str, Any]]:
    for spec in specs:
        yield _tensor(spec, batches) | {
            "format": "FORMAT_NONE",
            "is_shape_tensor": False,
            "allow_ragged_batch": False,
            "optional": False,
        }


def _outputs(specs: Iterable[TensorSpec], batches: bool) -> Iterable[dict[str, Any]]:
    for spec in specs:
        yield _tensor(spec, batches) | {"label_filename": "", "is_shape_tensor": False}


def _tensor(spec: TensorSpec, batches: bool) -> dict[str, Any]:
    """Dimensions leave out that of the batch; a scalar for each row is said as a reshaped [1]."""
    dims = list(spec.shape[1:] if batches else spec.shape)
    name = "STRING" if spec.datatype is DataType.BYTES else spec.datatype.value
    tensor: dict[str, Any] = {"name": spec.name, "data_type": f"TYPE_{name}", "dims": dims or [1]}
    if not dims:
        tensor["reshape"] = {"shape": []}
    return tensor
