"""Fixed sizes let go, and the proof that no answer changes: a row alone, a few, and all together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from forebay.core import ArtifactInfo, Signature, Tensors, TensorSpec
from forebay.core.errors import Malformed
from forebay.serving.runtime import Backend
from forebay.workshop.convert.made_rows import made_rows
from forebay.workshop.convert.parity import TOLERANCE, compare
from forebay.workshop.convert.running import answer, opened

Ask = Callable[[Tensors], Tensors]
Files = Mapping[str, bytes | Path]
_THREE = 3


class Candidate(NamedTuple):
    """A model with sizes let go, and which they are."""

    files: Files
    free: tuple[str, ...]


def freed(files: Files, info: ArtifactInfo, fixed: Signature, candidates: Iterable[Candidate]) -> Candidate:
    """The first of *candidates* that answers as the fixed model does; that one itself, if none does."""
    rows = made_rows(Signature(_free_batch(fixed.inputs), _free_batch(fixed.outputs)))
    unchanged = Candidate(files, ())
    try:
        with opened(files, info) as backend:
            expected = in_portions(lambda tensors: answer(backend, tensors), fixed)(rows)
    except Malformed:
        return unchanged
    return next((found for found in candidates if _same(found, info, rows, expected)), unchanged)


def in_portions(once: Ask, fixed: Signature) -> Ask:
    """*once* for any number of rows, asked in portions of the batch that *fixed* is made for."""
    size = fixed.inputs[0].shape[0] if fixed.inputs and fixed.inputs[0].shape else -1
    if size < 1 or any(spec.shape[:1] != (size,) for spec in (*fixed.inputs, *fixed.outputs)):
        return once

    def ask(tensors: Tensors) -> Tensors:
        rows = len(next(iter(tensors.values())))
        chosen = np.arange(-(-rows // size) * size) % rows
        parts = [
            once({name: values[chosen[start : start + size]] for name, values in tensors.items()})
            for start in range(0, len(chosen), size)
        ]
        return {name: np.concatenate([part[name] for part in parts])[:rows] for name in parts[0]}

    return ask


def one_by_one(backend: Backend, rows: Tensors, count: int) -> Tensors:
    """The answers to the first *count* rows, each asked alone."""
    parts = [answer(backend, some(rows, start, 1)) for start in range(count)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def some(rows: Tensors, start: int, count: int) -> Tensors:
    """*count* rows from *start* on."""
    return {name: values[start : start + count] for name, values in rows.items()}


def _same(candidate: Candidate, info: ArtifactInfo, rows: Tensors, expected: Tensors) -> bool:
    count = len(next(iter(rows.values())))
    try:
        with opened(candidate.files, info) as backend:
            together = answer(backend, rows)
            single = one_by_one(backend, rows, count)
            few = answer(backend, some(rows, 0, _THREE))
            if "height" in candidate.free:
                answer(backend, {name: np.tile(values, (1, 1, 2, 3)) for name, values in rows.items()})
    except Malformed:
        return False
    pairs = ((expected, together), (expected, single), (some(expected, 0, _THREE), few))
    return all(_equal(want, have) for want, have in pairs)


def _equal(want: Tensors, have: Tensors) -> bool:
    if any(want[name].shape != values.shape for name, values in have.items()):
        return False
    return not compare(want, have, TOLERANCE).off


def _free_batch(specs: tuple[TensorSpec, ...]) -> tuple[TensorSpec, ...]:
    return tuple(msgspec.structs.replace(spec, shape=(-1, *spec.shape[1:])) for spec in specs)
