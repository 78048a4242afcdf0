"""The contract of a backend: one version, one process, one batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from pkgutil import resolve_name
from typing import Protocol

from forebay.core import ArtifactInfo, Signature, Tensors
from forebay.core.errors import Malformed


@dataclass(frozen=True, slots=True)
class Budget:
    """What a backend may use of the machine."""

    threads: int = 1


class Backend(Protocol):
    """A loaded version. Calls come one at a time; which thread they come from may change."""

    @property
    def signature(self) -> Signature:
        """What the loaded model itself says that it takes and gives."""

    def run(self, inputs: Tensors, outputs: Sequence[str]) -> Tensors:
        """Compute the named *outputs* of one batch; releases the GIL where it can.

        Raises `Malformed` for inputs that the model refuses, `Died` when it is gone for good.
        """

    def close(self) -> None:
        """Give the memory back; harmless when closed already."""


_OURS = {"onnxruntime": "forebay.serving.runtime.onnx:open_onnx"}

Opener = Callable[[Path, ArtifactInfo, Budget], Backend]


def open_backend(folder: Path, info: ArtifactInfo, budget: Budget) -> Backend:
    """Load the artifact in *folder* with the backend that it names; raises `Malformed`.

    A package adds a backend with an entry point in the group `forebay.backends` that gives an `Opener`.
    """
    backends = _OURS | {point.name: point.value for point in entry_points(group="forebay.backends")}
    if info.backend not in backends:
        raise Malformed(f"no backend {info.backend!r} here; installed are {sorted(backends)}")
    opener: Opener = resolve_name(backends[info.backend])
    return opener(folder, info, budget)
