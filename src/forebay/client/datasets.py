"""Training data as a file that the hub's train job reads."""

from __future__ import annotations

import csv
import re
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np

from forebay.core.errors import Malformed

_FORMATS = {
    ".csv": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".tar": "images",
}
_PICTURES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp"})


class Table(NamedTuple):
    """A file, how it is written, and the column to predict."""

    path: Path
    format: str
    target: str


@contextmanager
def table_of(data: Any, target: Any) -> Iterator[Table]:
    """*data* as a file: a path stays where it is, frames and arrays are written down for the upload.

    *target* is the name of the column to predict (of several, for labels that may come together; None
    where there is nothing to predict), or, for an array *data*, its values. A folder of pictures becomes
    one tar file.
    """
    if isinstance(data, str | Path) and not Path(data).is_dir():
        format_ = format_of(Path(data))
        yield Table(Path(data), format_, "class" if format_ == "images" else _name(target))
        return
    with TemporaryDirectory(prefix="forebay-") as folder:
        yield _written(data, target, Path(folder))


def format_of(path: Path) -> str:
    """How a data set is written, by the file's name; raises `Malformed` for what the hub does not read.

    >>> format_of(Path("iris.csv"))
    'csv'
    """
    found = _FORMATS.get(path.suffix.lower())
    if found is None:
        raise Malformed(f"{path.name} is neither .csv, .parquet nor .jsonl; save the table as one of them")
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
    if isinstance(data, str | Path):
        _pack(Path(data), folder / "pictures.tar")
        return Table(folder / "pictures.tar", "images", "class")
    if hasattr(data, "write_parquet"):  # polars
        data.write_parquet(folder / "data.parquet")
        return Table(folder / "data.parquet", "parquet", _name(target))
    path = folder / "data.csv"
    if hasattr(data, "to_csv") and hasattr(data, "columns"):  # pandas
        data.to_csv(path, index=False)
        return Table(path, "csv", _name(target))
    names = _write_arrays(np.asarray(data), target, path)
    return Table(path, "csv", ",".join(names))


def _pack(folder: Path, path: Path) -> None:
    """The pictures of *folder* as a tar file, the same bytes for the same pictures."""
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        for file in sorted(folder.rglob("*")):
            if file.suffix.lower() not in _PICTURES or file.parent == folder:
                continue
            member = tarfile.TarInfo(file.relative_to(folder).as_posix())
            member.size = file.stat().st_size
            with file.open("rb") as content:
                archive.addfile(member, content)


def _write_arrays(features: Any, target: Any, path: Path) -> list[str]:
    """Write a line for each row, and say what the target's columns are called."""
    if features.ndim != 2:
        raise Malformed(f"arrays need the shapes [rows, columns] and [rows], got {list(features.shape)}")
    values = np.empty((len(features), 0)) if target is None else np.asarray(target)
    if values.shape[:1] != features.shape[:1] or values.ndim > 2:
        raise Malformed(
            f"arrays need the shapes [rows, columns] and [rows], got {list(features.shape)} and "
            f"{list(values.shape)}; for a frame pass target='COLUMN'"
        )
    columns = values.reshape(len(values), -1) if values.size else values
    width = columns.shape[1]
    names = ["target"] if width == 1 else [f"label{place}" for place in range(width)]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*(f"x{i}" for i in range(features.shape[1])), *names])
        pairs = zip(features.tolist(), columns.tolist(), strict=True)
        writer.writerows([*row, *told] for row, told in pairs)
    return names


def _name(target: Any) -> str:
    if target is None:
        return ""
    if isinstance(target, list | tuple) and target and all(isinstance(name, str) for name in target):
        return ",".join(target)
    if not isinstance(target, str) or not target:
        raise Malformed("target is the name of the column to predict, as in target='price'")
    return target
