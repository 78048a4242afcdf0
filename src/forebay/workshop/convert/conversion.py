"""The way from a model, in memory or on disk, to a proved artifact."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from forebay.core.errors import Unsupported
from forebay.workshop.convert.apart import convert_apart
from forebay.workshop.convert.contract import Given
from forebay.workshop.convert.converted import Converted
from forebay.workshop.convert.mlflow_code import ENTRY, named_sample, requirements_of, why_code, write_code
from forebay.workshop.convert.mlflow_folder import is_mlflow, read_mlflow
from forebay.workshop.convert.parity import ROWS_OFF, TOLERANCE
from forebay.workshop.convert.proof import prove
from forebay.workshop.convert.running import contents
from forebay.workshop.convert.samples import read_sample
from forebay.workshop.convert.sources import reader_of, source_of
from forebay.workshop.convert.sources.python_code import CodeFolder
from forebay.workshop.convert.threads import threads_for


def convert(
    model: Any,
    sample: Any = None,
    *,
    columns: Sequence[str] | None = None,
    labels: Sequence[str] | None = None,
    into: Any = None,
    tolerance: float = TOLERANCE,
    rows_off: float = ROWS_OFF,
    keep_sample: bool = True,
    trust: bool = False,
    entry: str | None = None,
    requirements: Sequence[str] | None = None,
) -> Converted:
    """Convert *model* to a served format and prove that it answers the same.

    *model* is what a framework fitted, or the path of a file or folder that it saved. *sample* are
    rows as the model takes them (matrix, pandas or polars frame, texts, or the path of a file with
    rows), best some hundred held-out ones: source and converted model answer all of them, and edge rows
    made from them. *columns* names the columns of a matrix, *labels* the classes; *into* is the network
    (or a class that makes one) that weights on disk belong to. An answer is off when it differs by more
    than *tolerance*, relative to its size or spread; at most the share *rows_off* of the rows may be off
    (a rounding may push a row over a tree's threshold). Up to eight rows of the sample stay with the
    artifact, unless *keep_sample* is false. A file that is code (a pickle) is refused, and with *trust*
    converted in a child process.

    A function or a class with `predict` is kept as source, with the packages that it imports and those
    in *requirements* pinned, and served as code; so is a folder whose *entry* (`module:name`) names one.
    Of a folder that MLflow wrote, the example rows and the columns' names are taken over.

    Raises `Different`, which shows the worst row, and `Unsupported`, which names what has no place in
    the served format.
    """
    if isinstance(sample, str | Path):
        sample = read_sample(Path(sample))
    wishes = Wishes(tolerance, rows_off, keep_sample, trust)
    if entry is not None:
        model = CodeFolder(Path(model), entry)
    elif isinstance(model, str | Path) and is_mlflow(Path(model)):
        return _of_mlflow(Path(model), Given(sample, columns, labels, into=into), wishes)
    return _converted(model, Given(sample, columns, labels, requirements, into), wishes)


class Wishes(NamedTuple):
    """How a conversion is judged, and what of it is kept; as `convert` has them."""

    tolerance: float
    rows_off: float
    keep_sample: bool
    trust: bool


def _of_mlflow(folder: Path, given: Given, wishes: Wishes) -> Converted:
    found = read_mlflow(folder)
    sample = found.sample if given.sample is None else given.sample
    columns = found.columns if given.columns is None and not hasattr(sample, "columns") else given.columns
    given = replace(given, sample=sample, columns=columns)
    if found.code is not None:
        inner = _of_pyfunc(found.path, found.code, given, wishes)
    else:
        inner = _converted(found.path, given, wishes)
    return replace(inner, evidence=({**inner.evidence[0], "mlflow": found.origin}, *inner.evidence[1:]))


def _of_pyfunc(folder: Path, said: Mapping[str, Any], given: Given, wishes: Wishes) -> Converted:
    """A model that is Python, where it is source and its owner trusts it."""
    if not wishes.trust:
        raise Unsupported(why_code(folder))
    with TemporaryDirectory(prefix="forebay-mlflow-") as name:
        sample = named_sample(given.sample, given.columns)
        columns = tuple(map(str, getattr(sample, "columns", ())))
        write_code(folder, said, columns, Path(name))
        more = [*(given.requirements or ()), *requirements_of(said)]
        inner = _converted(
            CodeFolder(Path(name), ENTRY),
            replace(given, sample=sample, columns=None, requirements=more),
            wishes,
        )
        return replace(inner, files={file: contents(content) for file, content in inner.files.items()})


def _converted(model: Any, given: Given, wishes: Wishes) -> Converted:
    if isinstance(model, str | Path) and (why := reader_of(Path(model)).runs_code(Path(model))):
        if not wishes.trust:
            raise Unsupported(why)
        asked = {
            "columns": None if given.columns is None else tuple(given.columns),
            "labels": None if given.labels is None else tuple(given.labels),
            "tolerance": wishes.tolerance,
            "rows_off": wishes.rows_off,
            "keep_sample": wishes.keep_sample,
        }
        return convert_apart(Path(model), given.sample, asked)
    return convert_here(model, given, wishes.tolerance, wishes.rows_off, keep_sample=wishes.keep_sample)


def convert_here(
    model: Any, given: Given, tolerance: float, rows_off: float, *, keep_sample: bool
) -> Converted:
    """Convert in this process, code included: for those who have asked whether they may."""
    with threads_for(_values(given.sample)):
        if isinstance(model, str | Path):
            reader = reader_of(Path(model))
            model = reader.load(Path(model))
            source = source_of(model, otherwise=reader)
        else:
            source = source_of(model)
        return prove(source.draft(model, given), tolerance, rows_off, keep_sample=keep_sample)


def _values(sample: Any) -> int:
    if isinstance(sample, Mapping):
        return sum(map(_values, sample.values()))
    size = getattr(sample, "size", None)
    if isinstance(size, int):
        return size
    return len(sample) * len(getattr(sample, "columns", "x")) if hasattr(sample, "__len__") else 0
