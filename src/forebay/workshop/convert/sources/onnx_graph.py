"""An ONNX graph that exists already, made ready to be served: names, labels, free batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from forebay.core import Array, ArtifactInfo, Signature, Tensors, TensorSpec
from forebay.core.errors import Malformed
from forebay.serving.runtime import Backend
from forebay.workshop.convert.contract import Draft, Given
from forebay.workshop.convert.made_rows import ROWS, given_rows, made_rows
from forebay.workshop.convert.onnx_batch import tidy
from forebay.workshop.convert.onnx_labels import labels_in, metadata_of, name_outputs, unzip
from forebay.workshop.convert.parity import compare
from forebay.workshop.convert.running import answer, opened
from forebay.workshop.convert.sources.onnx_freeing import (
    MODEL,
    UNKNOWN,
    Ask,
    freed,
    in_portions,
    one_by_one,
    some,
)

_COMPANY_TOLERANCE = 1e-3
_LIMITS = (100, 2)
_MANY = 10_000


@dataclass(frozen=True, slots=True)
class Original:
    """A graph as its owner has it, and who answers for it."""

    origin: str
    proto: Any
    ask: Callable[[Tensors], list[Any]]
    """What the original answers to the inputs by name, its outputs in the graph's order."""
    evidence: dict[str, Any]


def graph_draft(original: Original, given: Given) -> Draft:
    """The graph as it will be served, with everything freed that the graph itself lets go."""
    proto = type(original.proto)()
    proto.CopyFrom(original.proto)
    tidy(proto)
    classes = unzip(proto)
    task = name_outputs(proto, classes)
    fixed = _signature_of(proto)
    proto, free = freed(proto, fixed)
    files = {MODEL: proto.SerializeToString(deterministic=True)}
    with opened(files, UNKNOWN) as backend:
        signature = backend.signature
        if given.sample is None:
            rows = _rows_that_run(backend, _known_sizes(signature, fixed))
        else:
            rows = _few(given.sample, signature)
        alone = _wants_to_be_alone(backend, rows)
    if alone:
        signature, rows = _single(signature), some(rows, 0, 1)
    signature = _named(signature, metadata_of(proto), classes, given)
    evidence = {
        "rows_from": "made up" if given.sample is None else "sample",
        "freed": list(free),
        "row_by_row": alone,
        "metadata": metadata_of(original.proto),
        **original.evidence,
    }
    return Draft(
        origin=original.origin,
        files=files,
        info=ArtifactInfo(signature, task=task),
        rows=rows,
        ask=_asker(original, fixed, classes) if _fits(rows, fixed) else None,
        tensors=lambda tensors: tensors,
        tell_row=_tell_row,
        evidence=evidence,
    )


def _plain(value: Any, classes: tuple[str, ...]) -> Array:
    """An output as a tensor: a `ZipMap` gives a dictionary a row."""
    if isinstance(value, list) and value and isinstance(value[0], dict):
        by_name = [{str(key): share for key, share in row.items()} for row in value]
        return np.array([[row[name] for name in classes] for row in by_name], dtype=np.float32)
    return np.asarray(value)


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
    signature: Signature, metadata: dict[str, str], classes: tuple[str, ...], given: Given
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
    spec: TensorSpec, known: tuple[tuple[str, ...], ...], metadata: dict[str, str]
) -> TensorSpec:
    width = spec.shape[-1] if len(spec.shape) > 1 else 0
    if not spec.datatype.floating or width < 1:
        return spec
    fitting = (names for names in (*known, labels_in(metadata, width)) if len(names) == width)
    return msgspec.structs.replace(spec, columns=next(fitting, ()))


def _tell_row(rows: Tensors, row: int) -> str:
    told = {name: np.asarray(values[row]).ravel().tolist() for name, values in rows.items() if values.ndim}
    return ", ".join(f"{name}={values[:6]}{' …' * (len(values) > 6)}" for name, values in told.items())


def _signature_of(proto: Any) -> Signature:
    with opened({MODEL: proto.SerializeToString()}, UNKNOWN) as backend:
        return backend.signature


def _asker(original: Original, fixed: Signature, classes: tuple[str, ...]) -> Ask:
    """Ask the original, in portions of its own batch, for answers under the names of *fixed*."""

    def once(tensors: Tensors) -> Tensors:
        answers = original.ask(tensors)
        return {spec.name: _plain(value, classes) for spec, value in zip(fixed.outputs, answers, strict=True)}

    return in_portions(once, fixed)
