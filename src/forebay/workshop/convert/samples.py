"""Sample rows in a file: what people keep beside a model, and what passes to a child process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from forebay.core.errors import Malformed, NotFound
from forebay.core.extras import need
from forebay.workshop.convert.running import first_line


def read_sample(path: Path) -> Any:
    """The rows in *path*: a frame from CSV, Parquet or JSON records, arrays from .npy, .npz or JSON rows.

    The frame is a pandas one where pandas is installed, because most pipelines were fitted on those.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise Malformed(f"{path.name} is none of {', '.join(sorted(_READERS))}; save the rows as one of them")
    if not path.is_file():
        raise NotFound(f"there is no file {str(path)!r}")
    try:
        return reader(path)
    except Exception as error:  # polars and NumPy raise classes of their own making
        raise Malformed(f"{path.name} cannot be read: {first_line(error)}") from error


def write_sample(sample: Any, folder: Path) -> str:
    """Write rows from memory into *folder* so that `read_sample` gives the same; the file's name."""
    if hasattr(sample, "write_parquet"):
        sample.write_parquet(folder / "sample.parquet")
        return "sample.parquet"
    if isinstance(sample, Mapping):
        arrays: dict[str, Any] = {str(name): np.asarray(rows) for name, rows in sample.items()}
        np.savez(folder / "sample.npz", **arrays)
        return "sample.npz"
    if hasattr(sample, "columns"):
        content = {"frame": {str(name): sample[name].tolist() for name in sample.columns}}
        content["dtypes"] = {str(name): str(dtype) for name, dtype in sample.dtypes.items()}
        (folder / "sample.json").write_bytes(msgspec.json.encode(content, enc_hook=_plain))
        return "sample.json"
    array = np.asarray(sample)
    if array.dtype == object or array.dtype.kind in "UT":
        (folder / "sample.json").write_bytes(msgspec.json.encode(array.tolist()))
        return "sample.json"
    np.save(folder / "sample.npy", array, allow_pickle=False)
    return "sample.npy"


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else None


def _json(path: Path) -> Any:
    text = path.read_bytes()
    found = msgspec.json.decode(text)
    if isinstance(found, dict) and "frame" in found:
        return _pandas_again(found)
    if isinstance(found, dict):
        found = found.get("records", found.get("rows", [found]))
    return rows_of(found)


def _json_lines(path: Path) -> Any:
    return rows_of([msgspec.json.decode(line) for line in path.read_bytes().splitlines() if line.strip()])


def rows_of(found: list[Any]) -> Any:
    if found and isinstance(found[0], dict):
        return _frame(need("polars", "sklearn").DataFrame(found, infer_schema_length=None))
    array = np.asarray(found)
    return array.astype(object) if array.dtype.kind == "U" else array


def _pandas_again(found: dict[str, Any]) -> Any:
    return need("pandas", "sklearn").DataFrame(found["frame"]).astype(found["dtypes"])


def _csv(path: Path) -> Any:
    separator = "\t" if path.suffix.lower() == ".tsv" else ","
    return _frame(
        need("polars", "sklearn").read_csv(
            path, separator=separator, infer_schema_length=10_000, try_parse_dates=False
        )
    )


def _parquet(path: Path) -> Any:
    return _frame(need("polars", "sklearn").read_parquet(path))


def _frame(frame: Any) -> Any:
    if find_spec("pandas") is None:
        return frame
    import pandas as pd  # noqa: PLC0415 (heavy, and not everybody has it)

    return pd.DataFrame({name: _column(frame[name]) for name in frame.columns})


def _column(series: Any) -> Any:
    """Numbers with NaN for what is missing, texts with None: as pandas itself reads a CSV file."""
    return series.to_numpy() if series.dtype.is_numeric() or not series.null_count() else series.to_list()


def _npz(path: Path) -> Any:
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


_READERS: dict[str, Callable[[Path], Any]] = {
    ".csv": _csv,
    ".tsv": _csv,
    ".parquet": _parquet,
    ".pq": _parquet,
    ".json": _json,
    ".jsonl": _json_lines,
    ".npy": lambda path: np.load(path, allow_pickle=False),
    ".npz": _npz,
}
