"""Formats that take and give tensors as they are: which rows prove them, what their tensors are called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np

from forebay.core import ArtifactInfo, Signature, Tensors, TensorSpec
from forebay.core.errors import Malformed
from forebay.serving.runtime import Backend
from forebay.workshop.convert.contract import Draft, Given
from forebay.workshop.convert.made_rows import ROWS, given_rows, made_rows
from forebay.workshop.convert.onnx_labels import labels_in
from forebay.workshop.convert.parity import compare
from forebay.workshop.convert.running import answer, opened
from forebay.workshop.convert.sources.freeing import Ask, Files, one_by_one, some

_COMPANY_TOLERANCE = 1e-3
_LIMITS = (100, 2)
_MANY = 10_000


@dataclass(frozen=True, slots=True)
class Served:
    """A model in its served format, and its original."""

    files: Files
    info: ArtifactInfo
    """How the files are loaded; the signature is still unknown."""
    fixed: Signature
    """What the original takes and gives."""
    ask: Ask
    classes: tuple[str, ...] = ()
    free: tuple[str, ...] = ()
    """Which sizes of the original have been let go."""


@dataclass(frozen=True, slots=True)
class Told:
    """What is said about a model."""

    origin: str
    task: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    evidence: Mapping[str, Any] = field(default_factory=dict)


def tensor_draft(served: Served, told: Told, given: Given) -> Draft:
    """The draft of *served*, with the owner's rows or made-up ones."""
    with opened(served.files, served.info) as backend:
        signature = backend.signature
        if given.sample is None:
            rows = _rows_that_run(backend, _known_sizes(signature, served.fixed))
        else:
            rows = _few(given.sample, signature)
        alone = _wants_to_be_alone(backend, rows)
    if alone:
        signature, rows = _single(signature), some(rows, 0, 1)
    signature = _named(signature, told.metadata, served.classes, given)
    evidence = {
        "rows_from": "made up" if given.sample is None else "sample",
        "freed": list(served.free),
        "row_by_row": alone,
        "metadata": dict(told.metadata),
        **told.evidence,
    }
    return Draft(
        origin=told.origin,
        files=served.files,
        info=msgspec.structs.replace(served.info, signature=signature, task=told.task),
        rows=rows,
        ask=served.ask if _fits(rows, served.fixed) else None,
        tensors=lambda tensors: tensors,
        tell_row=_tell_row,
        evidence=evidence,
    )


def _rows_that_run(backend: Backend, signature: Signature) -> Tensors:
    """Made-up rows that the model answers; raises `Malformed` when there are none.

    Whole numbers are often places in a table of unknown length: larger ones tell more, if they are taken.
    """
    refusal: Malformed | None = None
    for below in _LIMITS:
        rows = made_rows(signature, below)
        try:
            answer(backend, rows)
        except Malformed as error:
            refusal = error
        else:
            return rows
    raise Malformed(f"{refusal}; those rows were made up, so give real ones: sample=…") from refusal


def _wants_to_be_alone(backend: Backend, rows: Tensors) -> bool:
    """Whether the answer to a row depends on the rows beside it, as dynamic quantisation makes it."""
    together = answer(backend, rows)
    if not backend.signature.batches:
        return False
    count = min(len(next(iter(rows.values()))), ROWS)
    single = one_by_one(backend, rows, count)
    return bool(compare(some(together, 0, count), single, _COMPANY_TOLERANCE).off)


def _few(sample: Any, signature: Signature) -> Tensors:
    rows = given_rows(sample, signature)
    return some(rows, 0, _MANY) if signature.batches else rows


def _known_sizes(free: Signature, fixed: Signature) -> Signature:
    """The free signature with the sizes that the original takes, but for the batch."""
    pairs = zip(free.inputs, fixed.inputs, strict=True)
    inputs = (msgspec.structs.replace(f, shape=(*f.shape[:1], *k.shape[1:])) for f, k in pairs)
    return Signature(tuple(inputs), free.outputs)


def _fits(rows: Tensors, fixed: Signature) -> bool:
    """Whether the original takes rows of this size."""
    return all(
        size in (-1, given)
        for spec in fixed.inputs
        for size, given in zip(spec.shape[1:], rows[spec.name].shape[1:], strict=True)
    )


def _single(signature: Signature) -> Signature:
    def one(spec: TensorSpec) -> TensorSpec:
        return msgspec.structs.replace(spec, shape=(1, *spec.shape[1:]))

    return Signature(tuple(map(one, signature.inputs)), tuple(map(one, signature.outputs)))


def _named(
    signature: Signature, metadata: Mapping[str, str], classes: tuple[str, ...], given: Given
) -> Signature:
    """With the columns that the owner names, and the classes that the file does."""
    known = (tuple(map(str, given.labels or ())), classes)
    outputs = tuple(_with_classes(spec, known, metadata) for spec in signature.outputs)
    columns, inputs = tuple(map(str, given.columns or ())), signature.inputs
    if columns:
        if len(inputs) != 1 or inputs[0].shape[-1:] != (len(columns),):
            raise Malformed(f"{len(columns)} column names do not fit the model's inputs")
        inputs = (msgspec.structs.replace(inputs[0], columns=columns),)
    return Signature(inputs, outputs)


def _with_classes(
    spec: TensorSpec, known: tuple[tuple[str, ...], ...], metadata: Mapping[str, str]
) -> TensorSpec:
    width = spec.shape[-1] if len(spec.shape) > 1 else 0
    if not spec.datatype.floating or width < 1:
        return spec
    fitting = (names for names in (*known, labels_in(metadata, width)) if len(names) == width)
    return msgspec.structs.replace(spec, columns=next(fitting, ()))


def _tell_row(rows: Tensors, row: int) -> str:
    told = {name: np.asarray(values[row]).ravel().tolist() for name, values in rows.items() if values.ndim}
    return ", ".join(f"{name}={values[:6]}{' …' * (len(values) > 6)}" for name, values in told.items())
