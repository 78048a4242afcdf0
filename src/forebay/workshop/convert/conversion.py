"""The way from a fitted model to a proved artifact."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from forebay.core import Array, ArtifactInfo, DataType, Signature, Tensors, TensorSpec
from forebay.core.errors import Malformed
from forebay.serving.runtime import Backend
from forebay.workshop.convert.converted import SAMPLE_NAME, Converted
from forebay.workshop.convert.edges import MISSING, Edge, edges_of
from forebay.workshop.convert.parity import ROWS_OFF, TOLERANCE, Different, Parity, compare
from forebay.workshop.convert.running import answer, first_line, open_bytes, runtime_name
from forebay.workshop.convert.sample import JOINED, Layout, as_table, columns_of, is_missing, layout_of, take
from forebay.workshop.convert.sklearn_onnx import to_onnx
from forebay.workshop.convert.source import Source, picks_by_name, source_of
from forebay.workshop.convert.threads import threads_for

_PARITY_ROWS = 10_000
_SAMPLE_ROWS = 8


def convert(
    model: Any,
    sample: Any,
    *,
    columns: Sequence[str] | None = None,
    tolerance: float = TOLERANCE,
    rows_off: float = ROWS_OFF,
) -> Converted:
    """Convert a fitted scikit-learn *model* to ONNX and prove that it answers the same.

    *sample* are rows as `model.predict` takes them (matrix, pandas or polars frame, texts), best
    some hundred held-out ones: source and converted model answer all of them, and edge rows made
    from them. *columns* names the columns of a matrix. An answer is off when it differs by more
    than *tolerance*, relative to its size or spread; at most the share *rows_off* of the rows may
    be off (a rounding may push a row over a tree's threshold). Raises `Different`, which shows
    the worst row, and `Unsupported`, which names the step that has no place in ONNX.
    """
    source = source_of(model)
    table = as_table(sample)
    with threads_for(table.size if hasattr(table, "size") else len(table) * len(table.columns)):
        work = _prepare(source, table, columns)
        return _prove(work, tolerance, rows_off)


@dataclass(frozen=True, slots=True)
class _Work:
    """One conversion on its way: the source, its rows, and the candidate that has to equal it."""

    source: Source
    table: Any
    layout: Layout
    expected: Tensors
    model: bytes
    backend: Backend
    named: bool


def _prepare(source: Source, table: Any, columns: Sequence[str] | None) -> _Work:
    if not len(table):
        raise Malformed("the sample is empty; give some real rows, a hundred is a good number")
    table = take(table, range(min(len(table), _PARITY_ROWS)))
    names = columns
    if names is None and not hasattr(table, "columns"):
        names = getattr(source.model, "feature_names_in_", None)
    layout = layout_of(table, names, by_name=picks_by_name(source.model))
    expected = _expected(source, table)
    proto = to_onnx(source, layout)
    model = proto.SerializeToString(deterministic=True)
    named = names is not None or hasattr(table, "columns")
    return _Work(source, table, layout, expected, model, open_bytes(model), named)


def _prove(work: _Work, tolerance: float, rows_off: float) -> Converted:
    inputs = work.layout.tensors(work.table)
    got = answer(work.backend, inputs)
    real = compare(work.expected, got, tolerance)
    judged, nan = _edges(work, tolerance)
    off = len(real.off) + sum(len(parity.off) for _, parity in judged)
    rows = real.rows + sum(parity.rows for _, parity in judged)
    if off > int(rows_off * rows):
        raise Different(_complaint(work, real, judged, off, tolerance))
    evidence = _evidence(work, real, judged, tolerance) | {"nan": nan}
    signature = Signature(_input_specs(work, nan), _output_specs(work.source, got))
    info = ArtifactInfo(signature, sample=SAMPLE_NAME, task=work.source.task)
    return Converted(work.model, info, _some_rows(inputs), (evidence,))


def _expected(source: Source, table: Any) -> Tensors:
    try:
        return source.answer(table)
    except (ValueError, TypeError, AttributeError) as error:
        raise Malformed(f"the model itself refuses the sample: {first_line(error)}") from error


def _edges(work: _Work, tolerance: float) -> tuple[list[tuple[Edge, Parity]], dict[str, bool]]:
    """Edge rows that both sides answered, and for each input whether NaN is a value."""
    judged: list[tuple[Edge, Parity]] = []
    numbers = _numbers_missing(work)
    nan = dict.fromkeys(numbers, True)
    for edge in edges_of(work.table, one_by_one=work.layout.joined is None):
        accepted = work.source.accepts(edge.table)
        parity = _edge_parity(work, edge, tolerance) if accepted else None
        if edge.what == MISSING:
            name = _input_of(work, edge)
            good = parity is not None and not parity.off
            nan[name] = nan.get(name, True) and (good or numbers[name])
            judged += [(edge, parity)] if parity is not None and good else []
        elif parity is not None:
            judged.append((edge, parity))
    return judged, nan


def _edge_parity(work: _Work, edge: Edge, tolerance: float) -> Parity | None:
    """None where the model takes a NaN and the converted one does not."""
    try:
        got = answer(work.backend, work.layout.tensors(edge.table))
    except Malformed as error:
        if edge.what == MISSING:
            return None
        told = f"the source answers a row with {edge.what}, the converted model does not"
        raise Different(f"{told}: {error}") from error
    return compare(work.source.answer(edge.table), got, tolerance)


def _numbers_missing(work: _Work) -> dict[str, bool]:
    """For each floating input, whether the sample's own rows have a NaN in it."""
    found: dict[str, bool] = {}
    for name, datatype, values in zip(
        work.layout.names, work.layout.datatypes, columns_of(work.table).values(), strict=True
    ):
        if (work.layout.joined or datatype).floating:
            key = name if work.layout.joined is None else JOINED
            found[key] = found.get(key, False) or bool(is_missing(values).any())
    return found


def _input_of(work: _Work, edge: Edge) -> str:
    if work.layout.joined is not None:
        return JOINED
    position = list(columns_of(work.table)).index(str(edge.column))
    return work.layout.names[position]


def _input_specs(work: _Work, nan: dict[str, bool]) -> tuple[TensorSpec, ...]:
    layout = work.layout
    if layout.joined is not None:
        columns = layout.names if work.named else ()
        return (TensorSpec(JOINED, layout.joined, (-1, len(layout.names)), columns, nan.get(JOINED, True)),)
    return tuple(
        TensorSpec(name, datatype, (-1, 1), nan=nan.get(name, True))
        for name, datatype in zip(layout.names, layout.datatypes, strict=True)
    )


def _output_specs(source: Source, got: Tensors) -> tuple[TensorSpec, ...]:
    columns = tuple(_class_name(name) for name in source.classes)
    return tuple(
        TensorSpec(
            name,
            _datatype_of(values),
            (-1, *values.shape[1:]),
            columns if name == "probabilities" else (),
        )
        for name, values in got.items()
    )


def _class_name(value: Any) -> str:
    """As the label tensor says it: ONNX knows whole numbers and texts, no booleans."""
    return value if isinstance(value, str) else str(int(value))


def _datatype_of(values: Array) -> DataType:
    by_kind = {"f": DataType.FP32, "i": DataType.INT64, "O": DataType.BYTES, "U": DataType.BYTES}
    return by_kind[values.dtype.kind]


def _some_rows(inputs: Tensors) -> Tensors:
    """Up to eight rows, complete ones where there are any: they become the first examples people see."""
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


def _evidence(
    work: _Work, real: Parity, judged: list[tuple[Edge, Parity]], tolerance: float
) -> dict[str, Any]:
    import sklearn  # noqa: PLC0415 (heavy)

    return {
        "kind": "parity",
        "source": f"scikit-learn {sklearn.__version__} {work.source.label}",
        "runtime": runtime_name(),
        "tolerance": tolerance,
        "rows": real.rows,
        "rows_off": len(real.off),
        "outputs": real.outputs,
        "edge_rows": sum(parity.rows for _, parity in judged),
        "edge_rows_off": sum(len(parity.off) for _, parity in judged),
        "edges": sorted({edge.what for edge, _ in judged}),
    }


def _complaint(
    work: _Work, real: Parity, judged: list[tuple[Edge, Parity]], off: int, tolerance: float
) -> str:
    rows = real.rows + sum(parity.rows for _, parity in judged)
    told = f"the converted model differs from its source by more than {tolerance:g} in {off} of {rows} rows"
    if real.off:
        row = {name: values[0] for name, values in columns_of(take(work.table, [real.worst])).items()}
        return f"{told}; worst is row {real.worst}: {real.describe_worst()}; the row is {_short(row)}"
    edge, parity = next((edge, parity) for edge, parity in judged if parity.off)
    row = {name: values[parity.worst] for name, values in columns_of(edge.table).items()}
    what = f"{edge.what} in {edge.column!r}" if edge.column else edge.what
    return f"{told}; worst is a row with {what}: {parity.describe_worst()}; the row is {_short(row)}"


def _short(row: dict[str, Any]) -> str:
    told = ", ".join(f"{name}={value}" for name, value in list(row.items())[:12])
    return told if len(row) <= 12 else f"{told}, … ({len(row)} columns)"
