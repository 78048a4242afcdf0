"""A converted model, run the way a node will run it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from forebay.core import Array, ArtifactInfo, Tensors
from forebay.serving.runtime import Backend, Budget, open_backend
from forebay.workshop.convert.converted import write_files


@contextmanager
def opened(files: Mapping[str, bytes | Path], info: ArtifactInfo) -> Iterator[Backend]:
    """Load what is no artifact yet; raises `Malformed`.

    Code may run: whoever converts it here is its owner.
    """
    with TemporaryDirectory(prefix="forebay-") as folder:
        write_files(files, Path(folder))
        with closing(open_backend(Path(folder), info, Budget(code=True))) as backend:
            yield backend


def contents(content: bytes | Path) -> bytes:
    """The bytes of a file that is to be in an artifact."""
    return content if isinstance(content, bytes) else content.read_bytes()


def answer(backend: Backend, inputs: Tensors) -> Tensors:
    """All outputs for *inputs*; raises `Malformed` when the model cannot."""
    found = backend.run(inputs, [spec.name for spec in backend.signature.outputs])
    return {name: _texts(values) if values.dtype == object else values for name, values in found.items()}


def _texts(values: Array) -> Array:
    """Texts as `str`: a process of its own answers with their bytes."""
    items = [
        item.decode("utf-8", "surrogateescape") if isinstance(item, bytes) else item for item in values.flat
    ]
    texts = np.empty(values.size, dtype=object)
    texts[:] = items
    return texts.reshape(values.shape)


def runtime_name(backend: str = "onnxruntime") -> str:
    """What runs the model, with its version where a package of that name has one."""
    try:
        return f"{backend} {version(backend)}"
    except PackageNotFoundError:
        return backend


def first_line(error: BaseException) -> str:
    """What *error* says, as far as it fits into a sentence."""
    return str(error).strip().partition("\n")[0][:300]
