"""The columns of a table: a signature as rows see it, and a column's values → array.

Kinder than the protocols for programs, because people write rows: true is 1, 3.0 is a whole number,
null is a missing value where the model takes one. Text is never taken for a number, nor a number
for text.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from itertools import chain, islice
from types import NoneType
from typing import Any, NamedTuple

import numpy as np

from forebay.core import Array, Signature, Tensors, TensorSpec
from forebay.core.errors import Malformed
from forebay.serving.wire.datatypes import BOOL, BYTES, FORMS, WIDE, Form, narrowed, out_of_range
from forebay.serving.wire.values import array_from, nesting, shown

_SHOWN_COLUMNS = 20
_SHOWN_CHARS = 64
_KEPT_PLANS = 1024
_NUMBERS: frozenset[type] = frozenset({int, float})
_LOOSE_NUMBERS: frozenset[type] = frozenset({int, float, bool, NoneType})
_TEXTS: frozenset[type] = frozenset({str, bytes, NoneType})
_TAKES = {BYTES: "text", BOOL: "true or false"}


class Column(NamedTuple):
    """One value of a row: a scalar of `spec`, or (`scalar` false) all that `spec` has for one row."""

    name: str
    spec: TensorSpec
    form: Form
    scalar: bool


class Part(NamedTuple):
    """Which columns make one input: `width` of them, from `start` on."""

    spec: TensorSpec
    start: int
    width: int


class Plan:
    """How the rows of one signature are laid out: the columns of all inputs, one after the other.

    `takes_rows` is false for a model whose inputs have no rows.
    """

    def __init__(self, signature: Signature) -> None:
        self.signature = signature
        self.takes_rows = all(spec.shape[:1] == (-1,) for spec in signature.inputs)
        self.single = signature.inputs[0] if len(signature.inputs) == 1 else None
        columns: list[Column] = []
        parts: list[Part] = []
        for spec in signature.inputs:
            own = _columns_of(spec, alone=self.single is not None)
            parts.append(Part(spec, len(columns), len(own)))
            columns += own
        self.columns, self._parts = tuple(columns), tuple(parts)
        self.names = tuple(column.name for column in columns)
        self.positions = {name: position for position, name in enumerate(self.names)}
        self._blocks = _blocks_of(columns)

    def tensors_from(self, values: Sequence[Sequence[Any]]) -> Tensors:
        """Inputs from the values of every column; raises `Malformed`."""
        arrays: dict[int, Array] = {}
        for form, positions in self._blocks:
            block = _block_of(form, [values[position] for position in positions])
            if block is not None:
                arrays.update(zip(positions, block, strict=True))
        for position, column in enumerate(self.columns):
            if position not in arrays:
                arrays[position] = _array_of(column, values[position])
        return {part.spec.name: _joined(part, arrays) for part in self._parts}

    def refuse_names(self, names: Sequence[str], row: int) -> Malformed:
        """What is wrong with a record that has exactly *names*."""
        for name in names:
            if name not in self.positions:
                said = name[:_SHOWN_CHARS]
                near = get_close_matches(said, self.names, n=3, cutoff=0.5)
                hint = f"did you mean {' or '.join(map(repr, near))}?" if near else f"it has {self.listed()}"
                return Malformed(f"row {row} has a column {said!r} that the model does not know; {hint}")
        missing = next(name for name in self.names if name not in names)
        return Malformed(f"row {row} has no column {missing!r}; send null for a missing value")

    def refuse_width(self, width: int, row: int) -> Malformed:
        """What is wrong with a row of *width* values."""
        return Malformed(
            f"row {row} has {width} values, and the model takes {len(self.names)}: {self.listed()}"
        )

    def listed(self) -> str:
        """The columns' names, not too many of them."""
        more = len(self.names) - _SHOWN_COLUMNS
        return ", ".join(islice(self.names, _SHOWN_COLUMNS)) + (f" and {more} more" if more > 0 else "")


_plans: dict[int, Plan] = {}


def plan_for(signature: Signature) -> Plan:
    """The plan of *signature*, made once for each object (comparing wide signatures would take longer)."""
    plan = _plans.get(id(signature))
    if plan is None or plan.signature is not signature:
        if len(_plans) >= _KEPT_PLANS:
            _plans.clear()
        plan = _plans[id(signature)] = Plan(signature)
    return plan


def _columns_of(spec: TensorSpec, *, alone: bool) -> list[Column]:
    form, rest = FORMS[spec.datatype], spec.shape[1:]
    names: Sequence[str]
    if rest in ((), (1,)):
        names = spec.columns[:1] or (spec.name,)
    elif len(rest) == 1 and len(spec.columns) == rest[0]:
        names = spec.columns
    elif len(rest) == 1 and rest[0] > 0 and alone:
        names = [f"{spec.name}[{at}]" for at in range(rest[0])]
    else:
        return [Column(spec.name, spec, form, scalar=False)]
    return [Column(name, spec, form, scalar=True) for name in names]


def _blocks_of(columns: Sequence[Column]) -> list[tuple[Form, list[int]]]:
    """Columns of floats of one datatype are converted together: one array is much cheaper than many."""
    blocks: dict[Form, list[int]] = {}
    for position, column in enumerate(columns):
        if column.scalar and column.form.wide == "d":
            blocks.setdefault(column.form, []).append(position)
    return list(blocks.items())


def _block_of(form: Form, values: list[Sequence[Any]]) -> Array | None:
    """All of *values* as one array, a column in each of its rows; None if one of them needs a closer look."""
    if not _NUMBERS.issuperset(map(type, chain.from_iterable(values))):
        return None
    try:
        return narrowed(np.array(values, np.float64), form)
    except (ValueError, OverflowError):
        return None


def _joined(part: Part, arrays: dict[int, Array]) -> Array:
    """The input that its columns make."""
    first = arrays[part.start]
    if first.ndim != 1 or len(part.spec.shape) == 1:
        return first
    if part.width == 1:
        return first.reshape(-1, 1)
    return np.stack([arrays[position] for position in range(part.start, part.start + part.width)], axis=1)


def _array_of(column: Column, values: Sequence[Any]) -> Array:
    """The values of one column; raises `Malformed`."""
    if not column.scalar:
        return tensor_from(column.spec, list(values))
    kinds = set(map(type, values))
    try:
        if column.form is BYTES:
            return _texts(column, values, kinds)
        if column.form.wide == "d":
            return _floats(column, values, kinds)
        return _integers(column, values, kinds)
    except ValueError as why:
        raise Malformed(f"column {column.name!r} {why}") from None


def tensor_from(spec: TensorSpec, values: Any) -> Array:
    """Whatever *spec* has for one row, for all rows; raises `Malformed`."""
    try:
        return array_from(values, FORMS[spec.datatype], _shape_of(values, spec))
    except ValueError as why:
        raise Malformed(f"input {spec.name!r} {why}") from None


def _shape_of(values: Any, spec: TensorSpec) -> tuple[int, ...]:
    if -1 not in spec.shape[1:]:
        return (len(values), *spec.shape[1:])
    shape = nesting(values)
    if len(shape) != len(spec.shape):
        raise ValueError(f"takes {len(spec.shape) - 1} dimensions in each row, and {len(shape) - 1} came")
    return shape


def _floats(column: Column, values: Sequence[Any], kinds: set[type]) -> Array:
    if not kinds <= _NUMBERS:
        if not kinds <= _LOOSE_NUMBERS:
            raise _wrong_kind(column, values, _LOOSE_NUMBERS)
        if NoneType in kinds and not column.spec.nan:
            raise _missing(column, values)
    try:
        return narrowed(np.array(values, np.float64), column.form)  # null becomes NaN
    except OverflowError:
        raise out_of_range(column.form) from None


def _integers(column: Column, values: Sequence[Any], kinds: set[type]) -> Array:
    form = column.form
    if not kinds <= {int}:
        if NoneType in kinds:
            raise _missing(column, values)
        if not kinds <= _LOOSE_NUMBERS:
            raise _wrong_kind(column, values, _LOOSE_NUMBERS)
        for row, value in enumerate(values):
            if isinstance(value, float) and not value.is_integer():
                raise ValueError(f"takes whole numbers, and row {row} has {value}")
        values = [int(value) for value in values]
    if form is BOOL:
        if not set(values) <= {0, 1}:
            row, value = next((row, value) for row, value in enumerate(values) if value not in (0, 1))
            raise ValueError(f"takes true or false, and row {row} has {value}")
        return np.array(values, np.bool_)
    try:
        return narrowed(np.array(values, WIDE[form.wide]), form)
    except OverflowError:
        raise out_of_range(form) from None


def _texts(column: Column, values: Sequence[Any], kinds: set[type]) -> Array:
    if NoneType in kinds or not kinds <= _TEXTS:
        if not kinds <= _TEXTS:
            raise _wrong_kind(column, values, _TEXTS)
        if not column.spec.nan:
            raise _missing(column, values)
        values = ["" if value is None else value for value in values]
    texts = np.empty(len(values), dtype=object)
    texts[:] = values
    return texts


def _missing(column: Column, values: Sequence[Any]) -> Malformed:
    row = next(row for row, value in enumerate(values) if value is None)
    return Malformed(
        f"column {column.name!r} is missing in row {row}, and the model was not made for missing values there"
    )


def _wrong_kind(column: Column, values: Sequence[Any], allowed: frozenset[type]) -> ValueError:
    row, value = next((row, value) for row, value in enumerate(values) if type(value) not in allowed)
    takes = _TAKES.get(column.form, "a number")
    return ValueError(f"takes {takes}, and row {row} has {shown(value)}")
