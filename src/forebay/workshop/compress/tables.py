"""A table, column by column, as the rows that a version takes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from difflib import get_close_matches

import numpy as np

from forebay.core import Array, ArtifactInfo, DataType, Tensors, TensorSpec
from forebay.core.errors import Malformed
from forebay.workshop.compress.notebook import truth_of
from forebay.workshop.compress.parts import Rows
from forebay.workshop.convert.sample import is_missing


def rows_of_table(
    info: ArtifactInfo, columns: Mapping[str, Array], *, target: str = "", slices: Sequence[str] = ()
) -> Rows:
    """The rows of a table as *info*'s inputs, with the truth in the column *target*, and *slices*.

    Columns are found by their names, whatever else the table has; a model whose columns have no names takes
    them in their order, and so does one with names from a table that was an array (`x0`, `x1`, …). A column
    may hold lists, for an input of several numbers a row. Missing texts are `''`, missing floats NaN. Raises
    `Malformed` with what is missing or does not fit.
    """
    for name in (*filter(None, (target,)), *slices):
        _must_have(columns, name)
    inputs = _inputs(info, columns, target, slices)
    info.signature.check(inputs)
    truth = truth_of(info, _truth(target, columns[target])) if target else None
    if truth is not None and truth.dtype.kind == "f" and not np.isfinite(truth).all():
        raise Malformed(f"the target {target!r} holds infinite values; remove these rows")
    return Rows(inputs, truth, {name: _texts(columns[name]).astype(str) for name in slices})


def _must_have(columns: Mapping[str, Array], name: str) -> None:
    if name not in columns:
        near = get_close_matches(name, columns, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {_some(columns)}"
        raise Malformed(f"the data has no column {name!r}; {hint}")


def _inputs(info: ArtifactInfo, columns: Mapping[str, Array], target: str, slices: Sequence[str]) -> Tensors:
    specs = info.signature.inputs
    wanted = [spec.columns or (spec.name,) for spec in specs]
    names = [name for group in wanted for name in group]
    missing = [name for name in names if name not in columns]
    if not missing:
        return {
            spec.name: _joined(spec, [columns[name] for name in group])
            for spec, group in zip(specs, wanted, strict=True)
        }
    width = len(names) if len(specs) > 1 or specs[0].columns else _width(specs[0])
    features = _features(columns, target, slices, width)
    unnamed = len(specs) == 1 and not specs[0].columns
    if not unnamed and features != [f"x{place}" for place in range(len(features))]:
        raise Malformed(f"the data has no column {missing[0]!r}, which the model takes; {_there_is(columns)}")
    if len(features) != width:
        raise Malformed(
            f"the model takes {width} columns, and the data has {len(features)} besides the target; "
            "give just these, and name the others as slices"
        )
    given = iter(columns[name] for name in features)
    counts = [width] if unnamed else [len(group) for group in wanted]
    return {
        spec.name: _joined(spec, [next(given) for _ in range(count)])
        for spec, count in zip(specs, counts, strict=True)
    }


def _features(columns: Mapping[str, Array], target: str, slices: Sequence[str], width: int) -> list[str]:
    """The columns that are neither the target nor, where that makes one too many, slices."""
    features = [name for name in columns if name != target]
    return features if len(features) == width else [name for name in features if name not in slices]


def _width(spec: TensorSpec) -> int:
    return math.prod(spec.shape[1:]) if -1 not in spec.shape[1:] else 1


def _joined(spec: TensorSpec, columns: Sequence[Array]) -> Array:
    """One tensor of *columns*; one column may hold a list for each row."""
    if len(columns) == 1 and columns[0].dtype == object and _holds_lists(columns[0]):
        try:
            stacked = np.stack([np.array(list(each)) for each in columns[0]])
        except ValueError:
            raise Malformed(
                f"the lists of the column {spec.name!r} are not of one length; pad them"
            ) from None
        return _cast(spec, stacked).reshape(len(stacked), *_rest(spec, stacked))
    parts = [_cast(spec, column) for column in columns]
    values = parts[0] if len(spec.shape) == 1 else np.stack(parts, axis=1)
    if len(spec.shape) < 2 or -1 in spec.shape[1:]:
        return values
    return np.ascontiguousarray(values.reshape(len(values), *spec.shape[1:]))


def _rest(spec: TensorSpec, stacked: Array) -> tuple[int, ...]:
    return spec.shape[1:] if -1 not in spec.shape[1:] else stacked.shape[1:]


def _holds_lists(values: Array) -> bool:
    return bool(len(values)) and isinstance(values[0], np.ndarray | list)


def _cast(spec: TensorSpec, values: Array) -> Array:
    if spec.datatype is DataType.BYTES:
        return _texts(values)
    gone = is_missing(values)
    if gone.any():
        if not spec.datatype.floating:
            raise Malformed(f"the model takes {spec.datatype} in {spec.name!r}, and the data has gaps there")
        values = np.where(gone, np.nan, values)
    try:
        return values.astype(spec.datatype.dtype)
    except (ValueError, TypeError):
        raise Malformed(
            f"the model takes {spec.datatype} in {spec.name!r}, and the data has other values there, "
            f"such as {str(values[0])[:40]!r}"
        ) from None


def _texts(values: Array) -> Array:
    """Texts as people write them; what is missing is empty."""
    gone = is_missing(values)
    texts = np.empty(len(values), dtype=object)
    texts[:] = ["" if none else _text(value) for value, none in zip(values.tolist(), gone, strict=True)]
    return texts


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _truth(target: str, values: Array) -> Array:
    gone = is_missing(values)
    if gone.any():
        raise Malformed(
            f"the target {target!r} is missing in {int(gone.sum())} of {len(values)} rows "
            f"(first: row {int(np.flatnonzero(gone)[0])}); fill it or remove these rows"
        )
    return _texts(values).astype(str) if values.dtype.kind == "b" else values


def _there_is(columns: Mapping[str, Array]) -> str:
    return f"it has {_some(columns)}"


def _some(columns: Mapping[str, Array]) -> str:
    few = 8
    names = ", ".join(map(repr, list(columns)[:few]))
    return names + (f" and {len(columns) - few} more" if len(columns) > few else "")
