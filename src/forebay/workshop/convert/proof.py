"""The proof: original and draft answer the same rows, and rows made to hurt, and are compared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec
import numpy as np

from forebay.core import Array, Signature, Tensors
from forebay.core.errors import Malformed
from forebay.serving.runtime import Backend
from forebay.workshop.convert.contract import Draft
from forebay.workshop.convert.converted import SAMPLE_NAME, Converted
from forebay.workshop.convert.edges import MISSING, Edge
from forebay.workshop.convert.parity import Different, Parity, compare
from forebay.workshop.convert.running import answer, opened, runtime_name

_SAMPLE_ROWS = 8

Ask: TypeAlias = Callable[[Any], Tensors]
Evidence: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Judged:
    """What both sides said to one set of edge rows."""

    edge: Edge
    parity: Parity


def prove(draft: Draft, tolerance: float, rows_off: float, *, keep_sample: bool = True) -> Converted:
    """Run original and draft on the rows and the edges of *draft*; raises `Different` with the worst row.

    A draft that is its own original is only run on its rows.
    """
    tolerance = max(tolerance, draft.rounding)
    with opened(draft.files, draft.info) as backend:
        if draft.rows is None:
            return Converted(draft.files, draft.info, {}, _loaded(draft, 0))
        inputs = draft.tensors(draft.rows)
        if draft.ask is None:
            rows = draft.info.signature.check(inputs)
            answer(backend, inputs)
            return _kept(draft, {}, _loaded(draft, rows), inputs, keep_sample=keep_sample)
        nan, evidence = _compared(draft, draft.ask, backend, inputs, tolerance, rows_off)
        return _kept(draft, nan, (evidence,), inputs, keep_sample=keep_sample)


def _kept(
    draft: Draft, nan: dict[str, bool], evidence: tuple[Evidence, ...], inputs: Tensors, *, keep_sample: bool
) -> Converted:
    signature = _with_nan(draft.info.signature, nan)
    sample = SAMPLE_NAME if keep_sample else ""
    info = msgspec.structs.replace(draft.info, signature=signature, sample=sample)
    return Converted(draft.files, info, _some_rows(inputs, signature) if keep_sample else {}, evidence)


def _loaded(draft: Draft, rows: int) -> tuple[Evidence, ...]:
    runtime = runtime_name(draft.info.backend)
    return ({"kind": "loaded", "source": draft.origin, "runtime": runtime, "rows": rows, **draft.evidence},)


def _compared(
    draft: Draft, ask: Ask, backend: Backend, inputs: Tensors, tolerance: float, rows_off: float
) -> tuple[dict[str, bool], Evidence]:
    expected, got = ask(draft.rows), answer(backend, inputs)
    if not draft.info.signature.batches:
        expected, got = _as_one_row(expected), _as_one_row(got)
    real = compare(expected, got, tolerance, draft.sizes)
    judged, nan = _edges(draft, ask, backend, inputs, tolerance)
    off = len(real.off) + sum(len(entry.parity.off) for entry in judged)
    rows = real.rows + sum(entry.parity.rows for entry in judged)
    if off > int(rows_off * rows):
        told = (
            f"the converted model differs from its source by more than {tolerance:g} in {off} of {rows} rows"
        )
        raise Different(f"{told}; {_worst(draft, real, judged)}")
    return nan, _evidence(draft, real, judged, tolerance) | {"nan": nan}


def _as_one_row(answers: Tensors) -> Tensors:
    """The whole answer, where its first dimension does not count rows."""
    return {name: np.asarray(values)[np.newaxis] for name, values in answers.items()}


def _edges(
    draft: Draft, ask: Ask, backend: Backend, inputs: Tensors, tolerance: float
) -> tuple[list[_Judged], dict[str, bool]]:
    """Edge rows that both sides answered, and for each floating input whether NaN is a value."""
    judged: list[_Judged] = []
    has_nan = {
        spec.name: bool(np.isnan(inputs[spec.name]).any())
        for spec in draft.info.signature.inputs
        if inputs[spec.name].dtype.kind == "f"
    }
    nan = dict.fromkeys(has_nan, True)
    for edge in draft.edges:
        expected = _asked(ask, edge)
        parity = None if expected is None else _edge_parity(draft, backend, edge, expected, tolerance)
        if edge.what == MISSING:
            good = parity is not None and not parity.off
            for name in (edge.column,) if edge.column in nan else nan:
                nan[name] = nan[name] and (good or has_nan[name])
            if not good:
                continue
        if parity is not None:
            judged.append(_Judged(edge, parity))
    return judged, nan


def _asked(ask: Ask, edge: Edge) -> Tensors | None:
    """The original's answers, None where it refuses such rows or answers no numbers."""
    try:
        answers = ask(edge.table)
    except Exception:  # noqa: BLE001  # a framework refuses a row with whatever it likes
        return None
    return answers if all(_finite(values) for values in answers.values()) else None


def _edge_parity(
    draft: Draft, backend: Backend, edge: Edge, expected: Tensors, tolerance: float
) -> Parity | None:
    """None where the original takes a NaN and the draft does not."""
    try:
        got = answer(backend, draft.tensors(edge.table))
    except Malformed as error:
        if edge.what == MISSING:
            return None
        told = f"the source answers a row with {edge.what}, the converted model does not"
        raise Different(f"{told}: {error}") from error
    return compare(expected, got, tolerance, draft.sizes)


def _with_nan(signature: Signature, nan: dict[str, bool]) -> Signature:
    inputs = tuple(
        msgspec.structs.replace(spec, nan=nan.get(spec.name, spec.nan)) for spec in signature.inputs
    )
    return Signature(inputs, signature.outputs)


def _some_rows(inputs: Tensors, signature: Signature) -> Tensors:
    """Up to eight rows, complete ones where there are any: they become the first examples people see."""
    if not signature.batches:
        return inputs
    rows = len(next(iter(inputs.values())))
    complete = np.ones(rows, dtype=bool)
    for values in inputs.values():
        if values.dtype.kind == "f":
            complete &= ~np.isnan(values).reshape(rows, -1).any(axis=1)
    chosen = np.flatnonzero(complete)[:_SAMPLE_ROWS]
    if not chosen.size:
        return {name: _filled(values[:_SAMPLE_ROWS]) for name, values in inputs.items()}
    return {name: values[chosen] for name, values in inputs.items()}


def _filled(values: Array) -> Array:
    return np.nan_to_num(values) if values.dtype.kind == "f" else values


def _evidence(draft: Draft, real: Parity, judged: list[_Judged], tolerance: float) -> Evidence:
    return {
        "kind": "parity",
        "source": draft.origin,
        "runtime": runtime_name(draft.info.backend),
        "tolerance": tolerance,
        "rows": real.rows,
        "rows_off": len(real.off),
        "outputs": real.outputs,
        "edge_rows": sum(entry.parity.rows for entry in judged),
        "edge_rows_off": sum(len(entry.parity.off) for entry in judged),
        "edges": sorted({entry.edge.what for entry in judged}),
        **draft.evidence,
    }


def _worst(draft: Draft, real: Parity, judged: list[_Judged]) -> str:
    if real.off:
        row = draft.tell_row(draft.rows, real.worst)
        return f"worst is row {real.worst}: {real.describe_worst()}; the row is {row}"
    edge, parity = next((entry.edge, entry.parity) for entry in judged if entry.parity.off)
    row = draft.tell_row(edge.table, parity.worst)
    what = f"{edge.what} in {edge.column!r}" if edge.column else edge.what
    return f"worst is a row with {what}: {parity.describe_worst()}; the row is {row}"


def _finite(values: Array) -> bool:
    return values.dtype.kind not in "fc" or bool(np.isfinite(values).all())
