"""`forebay.compress.search(model, X, y, keep=…)`: for those who have a model and rows in memory."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np

from forebay.core import INFO_NAME, Array, ArtifactInfo, DataType, Tensors, TensorSpec
from forebay.core.errors import Malformed
from forebay.workshop.compress.compression import Compressed, compress
from forebay.workshop.compress.drafts import Source, label_of
from forebay.workshop.compress.parts import Rows
from forebay.workshop.compress.wishes import Listener, Wish, silence
from forebay.workshop.convert import Converted, convert


def search(
    model: Any,
    rows: Any,
    truth: Any = None,
    *,
    keep: str,
    goal: str = "latency",
    training: tuple[Any, Any] | None = None,
    slices: Mapping[str, Any] | None = None,
    time_budget_s: float = 600.0,
    seed: int = 0,
    folder: Path | str | None = None,
    listener: Listener = silence,
) -> Compressed:
    """Look for a smaller or faster *model* that keeps its promises, and prove it.

    *model* is the folder of an artifact, what `forebay.convert` returned, or anything that it takes. *rows*
    and *truth* have been learned from by nothing; without truth promise `agreement` or `cosine`. *training*
    are (rows, truth) that the model did learn from: with them fine-tuning has more to go by and proof keeps
    more of *rows*. *slices* name a group for each row, for promises like `accuracy[region=north]>=-1`.
    *goal* is `latency`, `throughput`, `size`, `memory` or `energy`. In the same
    *folder* the same call goes on where it was, or answers at once.
    """
    wish = Wish.read(keep, goal, time_budget_s, seed)
    place = Path(mkdtemp(prefix="forebay-compress-")) if folder is None else Path(folder)
    source = _source(model, rows, place / "source")
    told = _rows(source.info, rows, truth, slices or {})
    known = None if training is None else _rows(source.info, *training, {})
    return compress(source, told, wish, place, tuning=known, listener=listener)


def _source(model: Any, rows: Any, folder: Path) -> Source:
    if isinstance(model, str | Path) and (Path(model) / INFO_NAME).exists():
        return Source.at(Path(model))
    converted = model if isinstance(model, Converted) else convert(model, rows)
    converted.save(folder)
    return Source.at(folder)


def _rows(info: ArtifactInfo, rows: Any, truth: Any, slices: Mapping[str, Any]) -> Rows:
    return Rows(
        inputs_of(info, rows),
        None if truth is None else truth_of(info, truth),
        {name: np.asarray(values).astype(str) for name, values in slices.items()},
    )


def inputs_of(info: ArtifactInfo, rows: Any) -> Tensors:
    """Rows as people have them (a matrix, a frame, arrays by name) as the signature's inputs.

    Raises `Malformed` with what is missing or does not fit.
    """
    specs = info.signature.inputs
    if len(specs) == 1 and not (isinstance(rows, Mapping) and specs[0].name in rows):
        values = rows.to_numpy() if hasattr(rows, "to_numpy") else np.asarray(rows)
        found = {specs[0].name: _fitted(values, specs[0])}
    else:
        names = set(rows.keys()) if isinstance(rows, Mapping) else set(getattr(rows, "columns", ()))
        missing = [spec.name for spec in specs if spec.name not in names]
        if missing:
            raise Malformed(f"the rows lack {', '.join(missing)}; give a frame or arrays with these names")
        found = {spec.name: _fitted(np.asarray(rows[spec.name]), spec) for spec in specs}
    info.signature.check(found)
    return found


def _fitted(values: Array, spec: TensorSpec) -> Array:
    if spec.datatype is DataType.BYTES:
        texts = np.empty(values.size, dtype=object)
        texts[:] = ["" if item is None else str(item) for item in values.flat]
        values = texts.reshape(values.shape)
    else:
        values = np.ascontiguousarray(values, dtype=spec.datatype.dtype)
    if values.ndim == 1 and len(spec.shape) == 2:
        return values.reshape(-1, 1)
    return values


def truth_of(info: ArtifactInfo, truth: Any) -> Array:
    """Labels as text as the model writes them, numbers as float64."""
    values = np.asarray(truth)
    numbers = info.task == "regression" or (
        not info.task and label_of(info) is None and values.dtype.kind == "f"
    )
    if numbers:
        return values.astype(np.float64)
    if values.dtype.kind == "f" and np.all(values == np.round(values)):
        values = values.astype(np.int64)
    return values.reshape(len(values), -1)[:, 0].astype(str)
