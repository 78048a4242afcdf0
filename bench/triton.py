"""Triton's server as nvidia-pytriton's wheel brings it: Python backend, dynamic batching."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from bench.models import Arrays, Model
from bench.peers.model import DATATYPES
from bench.words import ROOT, Missing

_STUB = "triton_python_backend_stub"
_LARGEST_BATCH = 64
_MODEL_FILE = f"""\
import sys

sys.path.insert(0, {str(ROOT)!r})  # Triton's Python ignores PYTHONPATH
from bench.peers.triton_model import TritonPythonModel
"""


def command(
    packages: Path, model: Model, folder: Path, port: int, others: tuple[int, int], instances: int
) -> list[str]:
    """Lay out a model repository in *folder*; returns how to start the server of *packages* on it."""
    home = packages / "pytriton" / "tritonserver"
    if not home.exists():
        raise Missing("nvidia-pytriton brings no Triton server for this platform")
    _complete(home)
    version = folder / "models" / model.name / "1"
    version.mkdir(parents=True)
    (version / "model.py").write_text(_MODEL_FILE)
    (version.parent / "config.pbtxt").write_text(
        configuration(model.name, model.row, model.expected(), instances)
    )
    grpc_port, metrics_port = others
    return [
        str(home / "bin" / "tritonserver"),
        f"--model-repository={folder / 'models'}",
        f"--backend-directory={home / 'backends'}",
        "--http-address=127.0.0.1",
        "--grpc-address=127.0.0.1",
        f"--http-port={port}",
        f"--grpc-port={grpc_port}",
        f"--metrics-port={metrics_port}",
    ]


def configuration(name: str, inputs: Arrays, outputs: Arrays, instances: int = 1) -> str:
    """The model's config.pbtxt.

    >>> import numpy as np
    >>> print(configuration("m", {"x": np.zeros((1, 3), np.float32)}, {}).splitlines()[3])
    input [{ name: "x" data_type: TYPE_FP32 dims: [3] }]
    """
    tensors = [
        f"{what} [{', '.join(_tensor(*item) for item in arrays.items())}]"
        for what, arrays in (("input", inputs), ("output", outputs))
    ]
    return "\n".join(
        [
            f'name: "{name}"',
            'backend: "python"',
            f"max_batch_size: {_LARGEST_BATCH}",
            *tensors,
            f"instance_group [{{ count: {instances} kind: KIND_CPU }}]",
            "dynamic_batching { }",
            "",
        ]
    )


def _tensor(name: str, array: NDArray[Any]) -> str:
    dims = ", ".join(map(str, array.shape[1:]))
    return f'{{ name: "{name}" data_type: TYPE_{DATATYPES[array.dtype]} dims: [{dims}] }}'


def _complete(home: Path) -> None:
    """Put the backend's process for this Python where the backend looks, and where its libraries are."""
    stub = home / "backends" / "python" / _STUB
    if stub.exists():
        return
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    brought = home / "python_backend_stubs" / python / _STUB
    if not brought.exists():
        raise Missing(f"nvidia-pytriton brings no Python backend for Python {python}")
    shutil.copy(brought, stub)
