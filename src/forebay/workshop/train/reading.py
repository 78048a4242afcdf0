"""Data from wherever it lies, as a polars frame with one column for the target."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from forebay.core import Array
from forebay.core.errors import Malformed, NotFound
from forebay.core.extras import need
from forebay.workshop.convert.sample import columns_of, is_missing
from forebay.workshop.train.pictures import CLASS, read_pictures
from forebay.workshop.train.recipe import one_of
from forebay.workshop.train.sampling import Others, Scratch, sampled

if TYPE_CHECKING:
    import polars as pl

FORMATS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".tar": "images",
}
_NOTHING = ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "None"]
_SCHEMA_ROWS = 10_000
_SNIFFED_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Data:
    """A table with its target. `named` says whether the columns' names mean something to people.

    `target` is empty where there is none, and names several columns separated by commas where there are
    several. `image` is (channels, height, width) of rows that are pictures. `rows` counts those of the
    whole, where `frame` is a sample of them, and `others` are those that are not in it; `took_s` is how
    long reading took.
    """

    frame: pl.DataFrame
    target: str
    origin: str
    sha256: str
    named: bool = True
    image: tuple[int, int, int] | None = None
    rows: int | None = None
    took_s: float = 0.0
    others: Others | None = None


def read(
    data: Any,
    target: Any,
    *,
    format: str | None = None,  # noqa: A002 (the word people know)
    memory_bytes: int = 1 << 30,
    seed: int = 0,
    streamed: bool = False,
) -> Data:
    """Read a file (its path), a folder of pictures, a pandas or polars frame, or a matrix with its targets.

    Of a file that is larger than *memory_bytes* allow, rows are drawn at random by *seed*; the others are
    kept on disk where they are to be *streamed*.
    """
    need("polars", "sklearn")
    began = time.monotonic()
    if isinstance(data, str | Path):
        found = _path(Path(data), target, format, memory_bytes, seed, streamed=streamed)
    else:
        found = _in_memory(data, target)
    return replace(found, took_s=time.monotonic() - began)


def _in_memory(data: Any, target: Any) -> Data:
    if not hasattr(data, "columns"):
        return _arrays(np.asarray(data), target)
    frame = _frame(data)
    if isinstance(target, list | tuple) and all(isinstance(name, str) and name in frame for name in target):
        target = ",".join(target)
    if isinstance(target, str) or target is None:
        _check_targets(target or "", frame.columns)
        return Data(frame, target or "", "frame", _digest(frame))
    name = str(getattr(target, "name", None) or "target")
    frame = _with_target(frame, name, np.asarray(target))
    return Data(frame, name, "frame", _digest(frame))


def _check_targets(target: str, columns: list[str]) -> None:
    """Raise `Malformed` unless *target* is empty, one of *columns*, or several of them."""
    if target and target not in columns:
        for name in target.split(","):
            one_of(name.strip(), columns, "column")


def _path(
    path: Path, target: Any, format_: str | None, memory_bytes: int, seed: int, *, streamed: bool
) -> Data:
    if isinstance(target, list | tuple) and all(isinstance(name, str) for name in target):
        target = ",".join(target)
    if not isinstance(target, str | None):
        raise Malformed("the data is a file; name its target column, for example target='price'")
    if not path.exists():
        raise NotFound(f"there is no file {str(path)!r}")
    format_ = format_ or ("images" if path.is_dir() else FORMATS.get(path.suffix.lower()))
    if format_ == "images":
        frame, image, sha256 = read_pictures(path)
        return Data(frame, CLASS, path.name, sha256, named=False, image=image)
    if format_ not in ("csv", "parquet", "jsonl"):
        raise Malformed(f"{path.name!r} is neither CSV, Parquet nor JSON Lines; save the data as one of them")
    return _file(path, target or "", format_, memory_bytes, seed, streamed=streamed)


def _file(path: Path, target: str, format_: str, memory_bytes: int, seed: int, *, streamed: bool) -> Data:
    import polars as pl  # noqa: PLC0415 (heavy)

    folder = Scratch() if streamed else None
    others = None if folder is None else Others(folder.path / "others.parquet", folder)
    try:
        place = None if others is None else others.path
        frame, rows = sampled(_scans(path, format_), path, memory_bytes, seed, place)
    except (pl.exceptions.PolarsError, UnicodeDecodeError, OSError) as error:
        first = str(error).strip().partition("\n")[0][:300]
        raise Malformed(f"{path.name!r} cannot be read as {format_}: {first}") from error
    _check_targets(target, frame.columns)
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return Data(frame, target, path.name, sha256, rows=rows, others=None if rows is None else others)


def _scans(path: Path, format_: str) -> Iterator[pl.LazyFrame]:
    """Ways to read *path*, the quickest first: the next is for what the one before stumbles over."""
    import polars as pl  # noqa: PLC0415 (heavy)

    if format_ == "parquet":
        yield pl.scan_parquet(path)
        return
    for rows in (_SCHEMA_ROWS, None):  # a number column may turn out to hold texts far down
        if format_ == "jsonl":
            yield pl.scan_ndjson(path, infer_schema_length=rows)
        else:
            yield _csv(path, rows)


def _csv(path: Path, rows: int | None) -> pl.LazyFrame:
    import polars as pl  # noqa: PLC0415 (heavy)

    return pl.scan_csv(
        path,
        separator=_separator(path),
        null_values=_NOTHING,
        infer_schema_length=rows,
        try_parse_dates=True,
    )


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
    if isinstance(target, str):
        raise Malformed("the data is a matrix; give its targets as an array: train(X, y)")
    if matrix.ndim != 2:
        raise Malformed(f"the data has the shape {list(matrix.shape)}; give rows and columns")
    import polars as pl  # noqa: PLC0415 (heavy)

    width = len(str(max(matrix.shape[1] - 1, 0)))
    frame = pl.DataFrame([_series(f"x{n:0{width}}", matrix[:, n]) for n in range(matrix.shape[1])])
    if target is None:
        return Data(frame, "", "arrays", _digest(frame), named=False)
    values = np.asarray(target)
    if values.ndim == 2 and values.shape[1] > 1:
        names = [f"label{n}" for n in range(values.shape[1])]
        for name, column in zip(names, values.T, strict=True):
            frame = _with_target(frame, name, column)
        return Data(frame, ",".join(names), "arrays", _digest(frame), named=False)
    frame = _with_target(frame, "target", values)
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
