"""The contract of a backend: one version, one process, one batch."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from pkgutil import resolve_name
from typing import Protocol

from forebay.core import ArtifactInfo, Signature, Tensors
from forebay.core.errors import Forbidden, Malformed


@dataclass(frozen=True, slots=True)
class Budget:
    """What a backend may use of the machine, and how its log calls it.

    Threads that `spin` wait awake for their next piece of work. The rest is for code in processes of
    their own: whether there may be any, how long a call and the start of a process may take, and how
    large a process may grow (0: as large as it likes).
    """

    threads: int = 1
    spin: bool = False
    label: str = "model"
    code: bool = False
    call_s: float = 60.0
    start_s: float = 120.0
    memory_bytes: int = 0


class Backend(Protocol):
    """A loaded version. Calls come one at a time; which thread they come from may change.

    Subclass it: what is not abstract is right for everything that computes in this process.
    """

    @property
    @abstractmethod
    def signature(self) -> Signature:
        """What the loaded model itself says that it takes and gives."""

    @abstractmethod
    def run(self, inputs: Tensors, outputs: Sequence[str]) -> Tensors:
        """Compute the named *outputs* of one batch; releases the GIL where it can.

        Raises `Malformed` for inputs that the model refuses, `Died` when it is gone for good, or for
        this batch.
        """

    @abstractmethod
    def close(self) -> None:
        """Give the memory back; harmless when closed already."""

    @property
    def apart(self) -> bool:
        """Whether another process computes.

        Then `run` only waits, ends in time by itself, and is nothing for an event loop, quick as it may be.
        """
        return False

    @property
    def trouble(self) -> str:
        """Why it cannot answer just now, in a sentence; empty while it can. From any thread."""
        return ""

    @property
    def apart_bytes(self) -> int:
        """Resident memory of other processes that work for it."""
        return 0


_OURS = {
    "onnxruntime": "forebay.serving.runtime.onnx:open_onnx",
    "openvino": "forebay.serving.runtime.openvino:open_openvino",
    "python": "forebay.serving.runtime.process:open_python",
}

Opener = Callable[[Path, ArtifactInfo, Budget], Backend]


def opener_of(info: ArtifactInfo) -> Opener:
    """What opens artifacts of the backend that *info* names, imported now; raises `Malformed`.

    A package adds a backend with an entry point in the group `forebay.backends` that gives an `Opener`.
    """
    backends = _OURS | {point.name: point.value for point in entry_points(group="forebay.backends")}
    if info.backend not in backends:
        raise Malformed(f"no backend {info.backend!r} here; installed are {sorted(backends)}")
    opener: Opener = resolve_name(backends[info.backend])
    return opener


def open_backend(folder: Path, info: ArtifactInfo, budget: Budget) -> Backend:
    """Load the artifact in *folder* with the backend that it names; raises `Malformed`, `Forbidden`."""
    opener = opener_of(info)
    if info.code and not budget.code:
        raise Forbidden(
            "this version runs Python of its owner's; FOREBAY_ALLOW_CODE=true on a node lets it run such code"
        )
    return opener(folder, info, budget)
