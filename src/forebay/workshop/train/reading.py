"""Data from wherever it lies, as a polars frame with one column for the target."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from forebay.core import Array
from forebay.core.errors import Malformed, NotFound
from forebay.core.extras import need
from forebay.workshop.convert.sample import columns_of, is_missing
from forebay.workshop.train.recipe import one_of

if TYPE_CHECKING:
    import polars as pl

FORMATS = {".csv": "csv", ".tsv": "csv", ".txt": "csv", ".parquet": "parquet", ".pq": "parquet"}
_NOTHING = ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "None"]
_SCHEMA_ROWS = 10_000
_SNIFFED_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Data:
    """A table with its target. `named` says whether the columns' names mean something to people."""

    frame: pl.DataFrame
    target: str
    origin: str
    sha256: str
    named: bool = True


def read(data: Any, target: Any, *, format: str | None = None) -> Data:  # noqa: A002 (the word people know)
    """Read a file (its path), a pandas or polars frame, or a matrix with its array of targets."""
    need("polars", "sklearn")
    if isinstance(data, str | Path):
        return _file(Path(data), _target_name(target), format)
    if not hasattr(data, "columns"):
        return _arrays(np.asarray(data), target)
    frame = _frame(data)
    if isinstance(target, str):
        one_of(target, frame.columns, "column")
        return Data(frame, target, "frame", _digest(frame))
    name = str(getattr(target, "name", None) or "target")
    frame = _with_target(frame, name, np.asarray(target))
    return Data(frame, name, "frame", _digest(frame))


def _target_name(target: Any) -> str:
    if not isinstance(target, str):
        raise Malformed("the data is a file; name its target column, for example target='price'")
    return target


def _file(path: Path, target: str, format_: str | None) -> Data:
    import polars as pl  # noqa: PLC0415 (heavy)

    if not path.is_file():
        raise NotFound(f"there is no file {str(path)!r}")
    format_ = format_ or FORMATS.get(path.suffix.lower())
    if format_ not in ("csv", "parquet"):
        raise Malformed(f"{path.name!r} is neither CSV nor Parquet; save the data as .csv or .parquet")
    try:
        frame = _csv(path) if format_ == "csv" else pl.scan_parquet(path).collect(engine="streaming")
    except (pl.exceptions.PolarsError, UnicodeDecodeError, OSError) as error:
        first = str(error).strip().partition("\n")[0][:300]
        raise Malformed(f"{path.name!r} cannot be read as {format_}: {first}") from error
    one_of(target, frame.columns, "column")
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return Data(frame, target, path.name, sha256)


def _csv(path: Path) -> pl.DataFrame:
    import polars as pl  # noqa: PLC0415 (heavy)

    def scan(rows: int | None) -> pl.DataFrame:
        lazy = pl.scan_csv(
            path,
            separator=_separator(path),
            null_values=_NOTHING,
            infer_schema_length=rows,
            try_parse_dates=True,
        )
        return lazy.collect(engine="streaming")

    try:
        return scan(_SCHEMA_ROWS)
    except pl.exceptions.ComputeError:
        return scan(None)  # a number column turned out to hold texts further down: look at all rows


def _separator(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(_SNIFFED_BYTES).partition(b"\n")[0].decode("utf-8", "replace")
    return max(",;\t|", key=head.count)


def _frame(data: Any) -> pl.DataFrame:
    """A polars frame of anything with columns; every library's word for nothing becomes null."""
    import polars as pl  # noqa: PLC0415 (heavy)

    if isinstance(data, pl.DataFrame):  # its Object columns are Python values that it cannot compute with
        objects = [_series(one.name, one.to_numpy()) for one in data if one.dtype == pl.Object]
        return data.with_columns(objects)
    return pl.DataFrame([_series(name, values) for name, values in columns_of(data).items()])


def _series(name: str, values: Array) -> pl.Series:
    import polars as pl  # noqa: PLC0415 (heavy)

    if values.dtype != object:
        return pl.Series(name, values)
    missing = is_missing(values)
    listed = [None if gone else value for value, gone in zip(values.tolist(), missing, strict=True)]
    return pl.Series(name, listed, strict=False)


def _arrays(matrix: Array, target: Any) -> Data:
    if isinstance(target, str) or target is None:
        raise Malformed("the data is a matrix; give its targets as an array: train(X, y)")
    if matrix.ndim != 2:
        raise Malformed(f"the data has the shape {list(matrix.shape)}; give rows and columns")
    import polars as pl  # noqa: PLC0415 (heavy)

    width = len(str(max(matrix.shape[1] - 1, 0)))
    frame = pl.DataFrame([_series(f"x{n:0{width}}", matrix[:, n]) for n in range(matrix.shape[1])])
    frame = _with_target(frame, "target", np.asarray(target))
    return Data(frame, "target", "arrays", _digest(frame), named=False)


def _with_target(frame: pl.DataFrame, name: str, target: Array) -> pl.DataFrame:
    if target.shape != (frame.height,):
        raise Malformed(f"there are {frame.height} rows, but the target has the shape {list(target.shape)}")
    if name in frame.columns:
        raise Malformed(f"the column {name!r} has the target's name; rename it, or name it as the target")
    return frame.with_columns(_series(name, target))


def _digest(frame: pl.DataFrame) -> str:
    """SHA-256 of names, types and values; the same values give the same digest on any machine."""
    sha256 = hashlib.sha256()
    for series in frame:
        sha256.update(f"{series.name}\0{series.dtype}\0".encode())
        values = series.to_numpy()
        if values.dtype == object:
            sha256.update("\0".join(map(repr, values.tolist())).encode())
        else:
            sha256.update(np.ascontiguousarray(values).tobytes())
    return sha256.hexdigest()
