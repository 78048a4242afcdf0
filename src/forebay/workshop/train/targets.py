"""What is to be predicted: the task, the classes, and the values a model is fitted on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from forebay.core import Array
from forebay.core.errors import Malformed
from forebay.workshop.train.columns import missing_in
from forebay.workshop.train.recipe import CLASSIFICATION, FORECASTING, QUANTILE, REGRESSION

if TYPE_CHECKING:
    import polars as pl

_FEW_NUMBERS = 20
_ROWS_A_CLASS = 3
_MOST_CLASSES = 1000
_LEAST_ROWS = 10
_NUMERIC = (REGRESSION, QUANTILE, FORECASTING)


def task_of(target: pl.Series, wanted: str | None) -> tuple[str, str]:
    """The task and the reason for it; raises `Malformed` where *wanted* cannot be."""
    numeric = target.dtype.is_numeric()
    if wanted in _NUMERIC and not numeric:
        raise Malformed(f"the target {target.name!r} holds {target.dtype}; {wanted} needs numbers")
    if wanted is not None:
        return wanted, "as asked"
    if not numeric:
        return CLASSIFICATION, f"{target.name!r} holds no numbers"
    distinct = target.n_unique()
    whole = target.dtype.is_integer() or bool((target.drop_nulls() % 1 == 0).all())
    if whole and distinct <= min(_FEW_NUMBERS, max(2, target.len() // _ROWS_A_CLASS)):
        return CLASSIFICATION, f"{target.name!r} holds {distinct} different whole numbers"
    return REGRESSION, f"{target.name!r} holds {distinct} different numbers"


def values_of(target: pl.Series, task: str) -> Array:
    """The target as an array: float64 for regression, int64 or texts for classes."""
    _check_rows(target)
    values = plain_values_of(target, task)
    if task not in _NUMERIC:
        _check_classes(target.name, values)
    elif values.min() == values.max():
        raise Malformed(f"the target {target.name!r} is the same in every row; nothing to learn")
    return values


def plain_values_of(target: pl.Series, task: str) -> Array:
    """The same of some rows of many, of which little can be said."""
    import polars as pl  # noqa: PLC0415 (heavy)

    _check(target)
    if task in _NUMERIC:
        numbers = target.cast(pl.Float64).to_numpy()
        if not np.isfinite(numbers).all():
            raise Malformed(f"the target {target.name!r} holds infinite values; remove these rows")
        return np.asarray(numbers)
    if target.dtype == pl.Boolean:
        target = target.replace_strict({True: "true", False: "false"}, return_dtype=pl.String)
    if target.dtype.is_float() and bool((target % 1 == 0).all()):
        target = target.cast(pl.Int64)
    values = target.to_numpy() if target.dtype.is_integer() else target.cast(pl.String).to_numpy()
    return values.astype(np.int64) if values.dtype.kind in "iu" else np.array(values.tolist(), dtype=str)


def labels_of(frame: pl.DataFrame) -> Array:
    """The 0/1 columns of a multilabel task, int64 [rows, labels]."""
    import polars as pl  # noqa: PLC0415 (heavy)

    columns = []
    for series in frame:
        _check_rows(series)
        _check(series)
        plain = series.cast(pl.Int64, strict=False) if series.dtype != pl.String else series
        values = set(plain.unique().to_list())
        if not values <= {0, 1}:
            raise Malformed(f"the label {series.name!r} holds {_some(values)}; a label is 0 or 1 in each row")
        counts = np.bincount(plain.to_numpy().astype(np.int64), minlength=2)
        if counts.min() < _ROWS_A_CLASS:
            raise Malformed(
                f"the label {series.name!r} is {int(counts.argmax())} in almost every row; leave it out"
            )
        columns.append(plain.to_numpy().astype(np.int64))
    return np.column_stack(columns)


def _some(values: set[object]) -> str:
    return ", ".join(sorted(map(repr, list(values)[:5])))


def _check_rows(target: pl.Series) -> None:
    if len(target) < _LEAST_ROWS:
        raise Malformed(
            f"there are only {len(target)} rows; give at least {_LEAST_ROWS}, better some hundred"
        )


def _check(target: pl.Series) -> None:
    gone = missing_in(target)
    if gone:
        places = (target.is_null() | target.is_nan()) if target.dtype.is_float() else target.is_null()
        first = int(np.flatnonzero(places.to_numpy())[0])
        raise Malformed(
            f"the target {target.name!r} is missing in {gone} of {len(target)} rows (first: row {first}); "
            "fill it or remove these rows"
        )


def _check_classes(name: str, labels: Array) -> None:
    classes, counts = np.unique(labels, return_counts=True)
    if len(classes) == 1:
        raise Malformed(f"the target {name!r} is {classes[0]!s} in every row; give rows of another class too")
    if len(classes) > _MOST_CLASSES:
        raise Malformed(
            f"the target {name!r} has {len(classes)} classes; at most {_MOST_CLASSES} can be learnt, "
            "or is it a number to predict (task='regression')?"
        )
    rare = counts.argmin()
    if counts[rare] < _ROWS_A_CLASS:
        raise Malformed(
            f"the class {classes[rare]!s} of {name!r} has only {counts[rare]} row(s); give at least "
            f"{_ROWS_A_CLASS} of each class, or remove or merge the rare ones"
        )
