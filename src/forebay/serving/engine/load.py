"""From an artifact on this disk to a lane that has already answered once."""

from __future__ import annotations

import math
import time
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from forebay.core import INFO_NAME, ArtifactInfo, DataType, Signature, Tensors, TensorSpec
from forebay.core.errors import Malformed
from forebay.core.requests import decode_request
from forebay.serving.engine.batcher import BatchLimits
from forebay.serving.engine.lane import Lane
from forebay.serving.engine.stats import LaneStats
from forebay.serving.engine.threads import best_threads
from forebay.serving.runtime import Backend, Budget, open_backend

_WARM_RUNS = 3
_WARM_S = 0.5
_TRIAL_ROWS = 16
_TRIAL_RUNS = 12
_ONE_THREAD = Budget()


@dataclass(frozen=True, slots=True)
class Loaded:
    """A backend that has answered, and what a call of one row costs."""

    backend: Backend
    signature: Signature
    cost_s: float

    def lane(self, limits: BatchLimits, executor: Executor, stats: LaneStats | None = None) -> Lane:
        """The lane for it, on the running loop."""
        return Lane(self.backend, self.signature, limits, executor, cost_s=self.cost_s, stats=stats)


def load(folder: Path, budget: Budget = _ONE_THREAD) -> Loaded:
    """Load the artifact in *folder*, compare it with its signature and make a first prediction.

    It gets as many of the budget's threads as make its batches faster. Blocking, for a thread. Raises
    `Malformed` with what does not fit, and what the backend raises.
    """
    info = ArtifactInfo.decode((folder / INFO_NAME).read_bytes())
    row = first_row(folder, info)

    def opened(threads: int) -> Backend:
        return _opened(folder, info, replace(budget, threads=threads))

    def batch_s(backend: Backend) -> float:
        return _batch_s(backend, info.signature, row)

    if info.backend == "python":  # its threads are settled when its process starts, which is slow to repeat
        backend = opened(budget.threads)
    else:
        backend = best_threads(_size_bytes(folder), budget.threads, opened, batch_s)
    try:
        cost_s = _warm_up(backend, info.signature, row)
    except Exception:
        backend.close()
        raise
    return Loaded(backend, info.signature, cost_s)


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


def first_row(folder: Path, info: ArtifactInfo) -> Tensors:
    """A row that the model surely takes: one of its sample; zeros, where it has none."""
    signature = info.signature
    if not info.sample:
        return {spec.name: zeros(spec) for spec in signature.inputs}
    rows = decode_request((folder / info.sample).read_bytes(), signature)
    return {name: values[:1] for name, values in rows.items()} if signature.batches else rows


def _opened(folder: Path, info: ArtifactInfo, budget: Budget) -> Backend:
    backend = open_backend(folder, info, budget)
    try:
        compare(info.signature, backend.signature)
    except Malformed:
        backend.close()
        raise
    return backend


def _warm_up(backend: Backend, signature: Signature, inputs: Tensors, runs: int = _WARM_RUNS) -> float:
    """The least that *inputs* took in *runs*, or in half a second of them; the very first does not count."""
    names = tuple(spec.name for spec in signature.outputs)
    backend.run(inputs, names)
    least_s, give_up_at = math.inf, time.perf_counter() + _WARM_S
    for _ in range(runs):
        least_s = min(least_s, _timed(backend, inputs, names))
        if time.perf_counter() > give_up_at:
            break
    return least_s


def _batch_s(backend: Backend, signature: Signature, row: Tensors) -> float:
    """As `_warm_up`, for several rows where the model takes several, and with more patience."""
    batch = row
    if signature.batches:
        batch = {name: np.repeat(array, _TRIAL_ROWS, axis=0) for name, array in row.items()}
    try:
        return _warm_up(backend, signature, batch, _TRIAL_RUNS)
    except Malformed:
        return _warm_up(backend, signature, row, _TRIAL_RUNS)


def _size_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _timed(backend: Backend, inputs: Tensors, names: tuple[str, ...]) -> float:
    began_s = time.perf_counter()
    backend.run(inputs, names)
    return time.perf_counter() - began_s
