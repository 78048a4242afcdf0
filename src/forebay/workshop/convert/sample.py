"""Rows as somebody's model takes them, and the same rows as tensors.

A table is what the source's `predict` takes: a NumPy matrix, a pandas or polars frame, or an array of
texts. A `Layout` says how it becomes tensors, the way it will come over the wire: one
tensor `x` where all columns are of one kind, otherwise one tensor a column.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from forebay.core import Array, DataType, Tensors
from forebay.core.errors import Malformed

JOINED = "x"


@dataclass(frozen=True, slots=True)
class Layout:
    """How a table becomes tensors: its columns' names and datatypes, and whether they travel as one."""

    names: tuple[str, ...]
    datatypes: tuple[DataType, ...]
    joined: DataType | None
    """The datatype of the single tensor `x`; None for a tensor a column."""

    def tensors(self, table: Any) -> Tensors:
        """The rows of *table*. Missing texts become `''`, numbers are cast to their tensor's datatype."""
        columns = [
            _as_tensor(values, self.joined or datatype)
            for values, datatype in zip(columns_of(table).values(), self.datatypes, strict=True)
        ]
        if self.joined is not None:
            return {JOINED: np.column_stack(columns)}
        return {name: column.reshape(-1, 1) for name, column in zip(self.names, columns, strict=True)}


def in_doubles(layout: Layout) -> Layout:
    """The same with twice the digits, for models that are exact about the last one."""
    wide = {DataType.FP32: DataType.FP64}
    joined = None if layout.joined is None else wide.get(layout.joined, layout.joined)
    return Layout(layout.names, tuple(wide.get(kind, kind) for kind in layout.datatypes), joined)


def layout_of(table: Any, names: Sequence[str] | None, *, by_name: bool) -> Layout:
    """Decide how *table* travels; *by_name* means that the model picks its columns by their names."""
    columns = columns_of(table)
    if names is not None and len(names) != len(columns):
        raise Malformed(f"{len(names)} column names for {len(columns)} columns; give one name a column")
    given = tuple(map(str, names if names is not None else columns))
    datatypes = tuple(_datatype(name, column) for name, column in zip(given, columns.values(), strict=True))
    if len(set(given)) != len(given):
        raise Malformed("two columns have the same name; rename one")
    return Layout(given, datatypes, None if by_name else _joined(set(datatypes)))


def _joined(kinds: set[DataType]) -> DataType | None:
    if kinds == {DataType.BYTES}:
        return DataType.BYTES
    return None if DataType.BYTES in kinds else DataType.FP32


def as_table(sample: Any) -> Any:
    """*sample* as a frame, a matrix or a list of texts; raises `Malformed` for anything else."""
    if hasattr(sample, "columns"):
        return sample
    if hasattr(sample, "toarray"):
        raise Malformed("the sample is a sparse matrix; give a few rows of it with .toarray()")
    array = np.asarray(sample)
    if array.dtype.kind in "UT":
        array = array.astype(object)
    if array.ndim not in (1, 2) or (array.ndim == 1 and array.dtype != object):
        raise Malformed(f"the sample has the shape {list(array.shape)}; give rows and columns")
    return array


def columns_of(table: Any) -> dict[str, Array]:
    """The columns of *table*, each a one-dimensional array."""
    if hasattr(table, "columns"):  # pandas and polars agree on this word and on to_numpy
        return {str(name): np.asarray(table[name].to_numpy()) for name in table.columns}
    if table.ndim == 1:
        return {"text": table}
    return {f"column_{number}": table[:, number] for number in range(table.shape[1])}


def take(table: Any, rows: Sequence[int]) -> Any:
    """These rows of *table*, as the same kind of table."""
    return table.iloc[list(rows)] if hasattr(table, "iloc") else table[list(rows)]


def like(table: Any, columns: Mapping[str, Array]) -> Any:
    """A table of the same kind and with the same column types as *table*, made of *columns*."""
    if hasattr(table, "iloc"):
        known = {name: _of_categories(values, table.dtypes[name]) for name, values in columns.items()}
        return type(table)(known).astype(table.dtypes.to_dict())
    if hasattr(table, "columns"):
        return type(table)({name: values.tolist() for name, values in columns.items()}, schema=table.schema)
    arrays = list(columns.values())
    return np.column_stack(arrays).astype(table.dtype) if table.ndim > 1 else arrays[0]


def _of_categories(values: Array, dtype: Any) -> Array:
    """What pandas has no category for is missing."""
    if not hasattr(dtype, "categories"):
        return values
    known = set(dtype.categories)
    return np.array([value if value in known else None for value in values], dtype=object)


def tell_row(table: Any, row: int) -> str:
    """One row of *table* in words: `length=5.1, width=3.5`."""
    told = [f"{name}={values[0]}" for name, values in columns_of(take(table, [row])).items()]
    few = 12
    return ", ".join(told[:few]) + (f", … ({len(told)} columns)" if len(told) > few else "")


def is_missing(values: Array) -> Array:
    """Which of *values* are NaN, None or one of the libraries' own words for nothing."""
    if values.dtype.kind == "f":
        return np.isnan(values)
    if values.dtype != object:
        return np.zeros(values.shape, dtype=bool)
    return np.array([not isinstance(value, str) and _nothing(value) for value in values], dtype=bool)


def _nothing(value: Any) -> bool:
    return value is None or type(value).__name__ in ("NAType", "NaTType") or bool(value != value)  # noqa: PLR0124 (NaN)


def _datatype(name: str, values: Array) -> DataType:
    kind = str(values.dtype.kind) if values.dtype != object else _kind_of_objects(values)
    by_kind = {"f": DataType.FP32, "i": DataType.INT64, "u": DataType.INT64, "b": DataType.BOOL}
    if kind in "UOTs":
        return DataType.BYTES
    if kind in by_kind:
        return by_kind[kind]
    what = "dates" if kind in "mM" else f"values of the type {values.dtype}"
    raise Malformed(f"the column {name!r} holds {what}; make numbers or texts of them first")


def _kind_of_objects(values: Array) -> str:
    present = values[~is_missing(values)]
    if all(isinstance(value, str) for value in present):
        return "s"
    if all(isinstance(value, bool | np.bool_) for value in present) and len(present) == len(values):
        return "b"
    if all(isinstance(value, int | float | np.number) for value in present):
        return "f"
    return "V"


def _as_tensor(values: Array, datatype: DataType) -> Array:
    if datatype is not DataType.BYTES:
        if values.dtype == object:
            values = np.where(is_missing(values), np.nan, values)
        return values.astype(datatype.dtype)
    texts = values.astype(object)
    texts[is_missing(texts)] = ""
    return texts
