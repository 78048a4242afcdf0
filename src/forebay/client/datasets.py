"""Training data as a file that the hub's train job reads."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np

from forebay.core.errors import Malformed

_FORMATS = {".csv": "csv", ".parquet": "parquet", ".pq": "parquet"}


class Table(NamedTuple):
    """A file, how it is written, and the column to predict."""

    path: Path
    format: str
    target: str


@contextmanager
def table_of(data: Any, target: Any) -> Iterator[Table]:
    """*data* as a file: a path stays where it is, frames and arrays are written down for the upload.

    *target* is the name of the column to predict, or, for an array *data*, its values.
    """
    if isinstance(data, str | Path):
        yield Table(Path(data), format_of(Path(data)), _name(target))
        return
    with TemporaryDirectory(prefix="forebay-") as folder:
        yield _written(data, target, Path(folder))


def format_of(path: Path) -> str:
    """`csv` or `parquet`, by the file's name; raises `Malformed` for anything else.

    >>> format_of(Path("iris.csv"))
    'csv'
    """
    found = _FORMATS.get(path.suffix.lower())
    if found is None:
        raise Malformed(f"{path.name} is neither .csv nor .parquet; save the table as one of them")
    return found


def name_for(path: Path) -> str:
    """A model name from a file's name.

    >>> name_for(Path("data/House Prices (2024).csv"))
    'house-prices-2024'
    """
    plain = re.sub(r"[^a-z0-9._-]+", "-", path.stem.lower()).strip("-._")
    if not plain:
        raise Malformed(f"{path.name} gives no model name; say one with name= or --name")
    return plain[:63]


def _written(data: Any, target: Any, folder: Path) -> Table:
    if hasattr(data, "write_parquet"):  # polars
        data.write_parquet(folder / "data.parquet")
        return Table(folder / "data.parquet", "parquet", _name(target))
    path = folder / "data.csv"
    if hasattr(data, "to_csv") and hasattr(data, "columns"):  # pandas
        data.to_csv(path, index=False)
        return Table(path, "csv", _name(target))
    _write_arrays(np.asarray(data), target, path)
    return Table(path, "csv", "target")


def _write_arrays(features: Any, target: Any, path: Path) -> None:
    values = np.asarray(target)
    if features.ndim != 2 or values.shape != features.shape[:1]:
        raise Malformed(
            f"arrays need the shapes [rows, columns] and [rows], got {list(features.shape)} and "
            f"{list(values.shape)}; for a frame pass target='COLUMN'"
        )
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*(f"x{i}" for i in range(features.shape[1])), "target"])
        writer.writerows([*row, value] for row, value in zip(features.tolist(), values.tolist(), strict=True))


def _name(target: Any) -> str:
    if not isinstance(target, str) or not target:
        raise Malformed("target is the name of the column to predict, as in target='price'")
    return target
