"""Keras → ONNX: by its own exporter, here or in a child process where Keras runs on another backend.

The backend of Keras is fixed for the life of a process, and each exports what the others do not. On
TensorFlow, Keras writes operators that ONNX does not have (`Erfc`, of gelu) into the file and says nothing;
on PyTorch it unrolls a recurrent layer to the length of its example; on others it exports nothing. What one
backend has saved, any other loads.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from forebay.core.errors import Unsupported
from forebay.workshop.convert.networks.tidy import mend, unknown_operators
from forebay.workshop.convert.running import first_line
from forebay.workshop.convert.sources.tensorflow_quiet import quiet

OPSET = 18
_TENSORFLOW, _TORCH = "tensorflow", "torch"


def export(model: Any, *, any_length: bool) -> Any:
    """The ONNX model of *model*, which has been called before (Keras exports no other).

    *any_length* says that an input has a dimension, besides the rows, that varies.
    """
    failures = []
    for backend, attempt in _ways(model, any_length=any_length):
        try:
            proto = attempt()
        except Exception as error:  # noqa: BLE001 (exporters let anything through)
            failures.append(f"from {backend}: {first_line(error)}")
            continue
        mend(proto)
        strange = unknown_operators(proto)
        if not strange:
            return proto
        failures.append(f"from {backend}: ONNX has no {', '.join(strange)}")
    raise Unsupported(f"the model cannot become ONNX ({'; '.join(failures)}); build it of other layers")


def _ways(model: Any, *, any_length: bool) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Where to export, the best first."""
    import keras  # noqa: PLC0415 (heavy)

    here = keras.backend.backend()
    order = [_TENSORFLOW, _TORCH] if any_length or here != _TORCH else [_TORCH, _TENSORFLOW]
    for backend in order:
        if backend == here:
            yield backend, lambda: _exported_here(model)
        elif find_spec(backend) is not None:
            yield backend, lambda backend=backend: _exported_on(backend, model)  # type: ignore[misc]


def _exported_here(model: Any) -> Any:
    with TemporaryDirectory(prefix="forebay-") as folder:
        file = Path(folder) / "model.onnx"
        write(model, file)
        return _read(file)


def write(model: Any, file: Path) -> None:
    """Let Keras write *model* as ONNX into *file*."""
    with quiet():
        model.export(str(file), format="onnx", verbose=False, opset_version=OPSET)


def _exported_on(backend: str, model: Any) -> Any:
    with TemporaryDirectory(prefix="forebay-") as folder:
        saved, file = Path(folder) / "model.keras", Path(folder) / "model.onnx"
        with quiet():
            model.save(saved)
        done = subprocess.run(  # noqa: S603 (this Python, and files of our own)
            [sys.executable, "-m", "forebay.workshop.convert.sources.keras_child", saved, file],
            env=os.environ
            | {"KERAS_BACKEND": backend, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise Unsupported(done.stderr.strip().rpartition("\n")[2][:300])
        return _read(file)


def _read(file: Path) -> Any:
    import onnx  # noqa: PLC0415 (heavy)

    return onnx.load(str(file))
