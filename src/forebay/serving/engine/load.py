"""From an artifact on this disk to a lane that has already answered once."""

from __future__ import annotations

import os
import time
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from forebay.core import INFO_NAME, ArtifactInfo, DataType, Signature, Tensors, TensorSpec
from forebay.core.errors import Malformed
from forebay.core.requests import decode_request
from forebay.serving.engine.batcher import BatchLimits
from forebay.serving.engine.lane import Lane
from forebay.serving.runtime import Backend, Budget, open_backend

_SMALL_BYTES = 4 << 20
_WARM_RUNS = 3


@dataclass(frozen=True, slots=True)
class Loaded:
    """A backend that has answered, and what a call of one row costs."""

    backend: Backend
    signature: Signature
    cost_s: float

    def lane(self, limits: BatchLimits, executor: Executor) -> Lane:
        """The lane for it, on the running loop."""
        return Lane(self.backend, self.signature, limits, executor, cost_s=self.cost_s)


def load(folder: Path) -> Loaded:
    """Load the artifact in *folder*, compare it with its signature and make a first prediction.

    Blocking, for a thread. Raises `Malformed` with what does not fit.
    """
    info = ArtifactInfo.decode((folder / INFO_NAME).read_bytes())
    threads = 1 if (folder / info.model).stat().st_size < _SMALL_BYTES else machine_threads()
    backend = open_backend(folder, info, Budget(threads))
    try:
        compare(info.signature, backend.signature)
        cost_s = _warm_up(backend, info.signature, _first_row(folder, info))
    except Exception:
        backend.close()
        raise
    return Loaded(backend, info.signature, cost_s)


def machine_threads() -> int:
    """The cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def compare(declared: Signature, real: Signature) -> None:
    """Raise `Malformed` unless the model really takes and gives what its signature declares."""
    for what, ours, theirs in (
        ("input", declared.inputs, real.inputs),
        ("output", declared.outputs, real.outputs),
    ):
        found = {spec.name: spec for spec in theirs}
        if what == "input" and set(found) != {spec.name for spec in ours}:
            raise Malformed(
                f"the signature names the inputs {[s.name for s in ours]}, the model {list(found)}"
            )
        for spec in ours:
            other = found.get(spec.name)
            if other is None:
                raise Malformed(f"the signature has the {what} {spec.name!r}, the model has {list(found)}")
            if other.datatype != spec.datatype or not _fits(spec.shape, other.shape):
                raise Malformed(
                    f"{what} {spec.name!r} is declared {spec.datatype} {list(spec.shape)}, "
                    f"the model has {other.datatype} {list(other.shape)}"
                )


def zeros(spec: TensorSpec) -> np.ndarray[tuple[int, ...], np.dtype[np.generic]]:
    """The smallest input that *spec* allows: one row of zeros, or of empty strings."""
    shape = tuple(1 if size == -1 else size for size in spec.shape)
    if spec.datatype is DataType.BYTES:
        return np.full(shape, "", dtype=object)
    return np.zeros(shape, dtype=spec.datatype.dtype)


def _fits(declared: tuple[int, ...], real: tuple[int, ...]) -> bool:
    """Whether all that *declared* allows is allowed by *real*; a model may leave its rank open with ()."""
    if not real:
        return True
    return len(declared) == len(real) and all(
        theirs in (-1, ours) for ours, theirs in zip(declared, real, strict=True)
    )


def _first_row(folder: Path, info: ArtifactInfo) -> Tensors:
    """A row that the model surely takes: one of its sample; zeros, where it has none."""
    signature = info.signature
    if not info.sample:
        return {spec.name: zeros(spec) for spec in signature.inputs}
    rows = decode_request((folder / info.sample).read_bytes(), signature)
    return {name: values[:1] for name, values in rows.items()} if signature.batches else rows


def _warm_up(backend: Backend, signature: Signature, inputs: Tensors) -> float:
    names = tuple(spec.name for spec in signature.outputs)
    backend.run(inputs, names)
    return min(_timed(backend, inputs, names) for _ in range(_WARM_RUNS))


def _timed(backend: Backend, inputs: Tensors, names: tuple[str, ...]) -> float:
    began_s = time.perf_counter()
    backend.run(inputs, names)
    return time.perf_counter() - began_s
