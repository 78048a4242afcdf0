"""Which columns a model can learn from, and why the others are left out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from forebay.core.errors import Malformed
from forebay.workshop.train.recipe import one_of

if TYPE_CHECKING:
    import polars as pl

_ID_NAME = re.compile(r"(^|[_\W])(id|uuid|guid|key|index|row_?n(umbe)?r?)$|^unnamed", re.IGNORECASE)
_OUTPUTS = frozenset({"label", "probabilities", "prediction"})
_MANY_TEXTS = 100
_MOSTLY_DIFFERENT = 0.5
_LEAST_ROWS_FOR_IDS = 20
_WORDS = 3.0


class Kind(StrEnum):
    """What a column holds, as the model sees it: numbers, one of some texts, or sentences of words."""

    NUMBER = "number"
    TEXT = "text"
    WORDS = "words"


class Column(msgspec.Struct, frozen=True):
    """One column that the model takes, and what the profile says about it."""

    name: str
    kind: Kind
    missing: int
    distinct: int


@dataclass(frozen=True, slots=True)
class Choice:
    """The columns to learn from, and a sentence for each that was left out."""

    columns: tuple[Column, ...]
    left_out: tuple[str, ...]


def choose_columns(
    frame: pl.DataFrame, targets: tuple[str, ...], features: tuple[str, ...] | None, aside: str | None = None
) -> Choice:
    """Look at every column (or at *features* only, where what cannot be used is an error).

    The column *aside* only says how to split.
    """
    for name in features or ():
        one_of(name, frame.columns, "column")
    names = [name for name in (features or frame.columns) if name not in (*targets, aside)]
    kept: list[Column] = []
    left_out: list[str] = []
    for name in names:
        series = frame[name]
        why = _impossible(series) or (
            _useless(series, [frame[target] for target in targets]) if features is None else None
        )
        if why is None:
            kept.append(_column(series))
        elif features is not None:
            raise Malformed(f"the feature {name!r} {why}")
        else:
            left_out.append(f"{name!r} {why}")
    _check_names(kept)
    if not any(column.distinct > 1 for column in kept):
        raise Malformed("no column is left to learn from: " + ("; ".join(left_out) or "all are constant"))
    return Choice(tuple(kept), tuple(left_out))


def every_column(frame: pl.DataFrame, targets: tuple[str, ...]) -> Choice:
    """All columns but *targets*, whatever is in them."""
    return Choice(tuple(_column(frame[name]) for name in frame.columns if name not in targets), ())


def _check_names(columns: list[Column]) -> None:
    """A text among the columns gives each its own tensor, and then outputs want their names."""
    if all(column.kind is Kind.NUMBER for column in columns):
        return
    for column in columns:
        if column.name in _OUTPUTS:
            raise Malformed(f"rename the column {column.name!r}: an output of the model has that name")


def _column(series: pl.Series) -> Column:
    kind = Kind.TEXT if _is_text(series) else Kind.NUMBER
    if kind is Kind.TEXT and _varied(series) and _wordy(series):
        kind = Kind.WORDS
    return Column(series.name, kind, missing_in(series), series.n_unique())


def missing_in(series: pl.Series) -> int:
    """How many values are missing: nulls, and NaN among numbers."""
    nan = int(series.is_nan().sum()) if series.dtype.is_float() else 0
    return series.null_count() + nan


def _is_text(series: pl.Series) -> bool:
    import polars as pl  # noqa: PLC0415 (heavy)

    return series.dtype in (pl.String, pl.Categorical, pl.Enum)


def _impossible(series: pl.Series) -> str | None:
    import polars as pl  # noqa: PLC0415 (heavy)

    if missing_in(series) == len(series):
        return "is empty"
    if series.dtype.is_temporal():
        return "holds dates or times; make numbers of them first (year, weekday, days since …)"
    if not (series.dtype.is_numeric() or series.dtype == pl.Boolean or _is_text(series)):
        return f"holds {series.dtype}; a model takes numbers, texts, true and false"
    if series.dtype.is_float() and series.is_infinite().any():
        return "holds infinite values; replace them first"
    return None


def _useless(series: pl.Series, targets: list[pl.Series]) -> str | None:
    rows, distinct = len(series), series.n_unique()
    if distinct == 1:
        return "is the same in every row"
    if any(_repeats(series, target) for target in targets):
        return "repeats the target, which nobody has when they ask"
    if rows < _LEAST_ROWS_FOR_IDS:
        return None
    if _is_text(series) and distinct > max(_MANY_TEXTS, _MOSTLY_DIFFERENT * rows) and not _wordy(series):
        return f"has {distinct} different texts in {rows} rows, too many to learn from"
    if distinct == rows and (
        _counts(series) or (_ID_NAME.search(series.name) and not series.dtype.is_float())
    ):
        return "only numbers the rows"
    return None


def _varied(series: pl.Series) -> bool:
    return series.n_unique() > min(_MANY_TEXTS, _MOSTLY_DIFFERENT * len(series))


def _wordy(series: pl.Series) -> bool:
    """Whether people wrote it: some words in a row."""
    import polars as pl  # noqa: PLC0415 (heavy)

    spaces = series.cast(pl.String).str.count_matches(r"\s+").mean()
    return isinstance(spaces, float) and spaces + 1 >= _WORDS


def _counts(series: pl.Series) -> bool:
    """1, 2, 3 …: a number that tells the rows apart and nothing else."""
    return series.dtype.is_integer() and bool((series.diff().drop_nulls() == 1).all())


def _repeats(series: pl.Series, target: pl.Series) -> bool:
    if series.dtype == target.dtype:
        return bool(series.eq_missing(target).all())
    if series.dtype.is_numeric() and target.dtype.is_numeric():
        return bool((series == target).fill_null(value=False).all())
    return False
