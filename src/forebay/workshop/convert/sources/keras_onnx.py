"""Keras → ONNX, here or in a child process where Keras runs on another backend.

The backend of Keras is fixed for the life of a process, and each exports what the others do not. From
TensorFlow come operators that ONNX does not have (`Erfc`, of gelu), and nobody says so; on PyTorch, Keras
unrolls a recurrent layer to the length of its example; on others it exports nothing. What one backend has
saved, any other loads.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from forebay.core.errors import Unsupported
from forebay.workshop.convert.networks import Expected
from forebay.workshop.convert.networks.tidy import mend, unknown_operators
from forebay.workshop.convert.running import first_line
from forebay.workshop.convert.sources.tensorflow_onnx import trace
from forebay.workshop.convert.sources.tensorflow_quiet import quiet

OPSET = 18
_TENSORFLOW, _TORCH = "tensorflow", "torch"


Call = Callable[[list[Any]], Any]
"""Asks a model for one value an input, in the order in which Keras flattens them."""


def export(model: Any, call: Call, inputs: Sequence[Expected]) -> Any:
    """The ONNX model of *model*, whose outputs come in the order in which Keras flattens them."""
    failures = []
    for backend, attempt in _ways(model, call, inputs):
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


def _ways(model: Any, call: Call, inputs: Sequence[Expected]) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Where to export, the best first."""
    import keras  # noqa: PLC0415 (heavy)

    here = keras.backend.backend()
    any_length = any(None in spec.shape for spec in inputs)
    order = [_TENSORFLOW, _TORCH] if any_length or here != _TORCH else [_TORCH, _TENSORFLOW]
    for backend in order:
        if backend == here:
            yield backend, lambda: exported_here(model, call, inputs)
        elif find_spec(backend) is not None:
            yield backend, lambda backend=backend: _exported_on(backend, model)  # type: ignore[misc]


def exported_here(model: Any, call: Call, inputs: Sequence[Expected]) -> Any:
    """From the backend of this process.

    Keras' own exporter leaves `training` open on TensorFlow, and then a layer that augments pictures does.
    """
    import keras  # noqa: PLC0415 (heavy)

    if keras.backend.backend() == _TENSORFLOW:
        return trace(lambda *values: keras.tree.flatten(call(list(values))), inputs)
    with TemporaryDirectory(prefix="forebay-") as folder:
        file = Path(folder) / "model.onnx"
        with quiet():
            model.export(str(file), format="onnx", verbose=False, opset_version=OPSET)
        return _read(file)


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
