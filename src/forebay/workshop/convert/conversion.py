"""The way from a model, in memory or on disk, to a proved artifact."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from forebay.core.errors import Unsupported
from forebay.workshop.convert.contract import Given
from forebay.workshop.convert.converted import Converted
from forebay.workshop.convert.parity import ROWS_OFF, TOLERANCE
from forebay.workshop.convert.proof import prove
from forebay.workshop.convert.sources import reader_of, source_of
from forebay.workshop.convert.threads import threads_for


def convert(
    model: Any,
    sample: Any = None,
    *,
    columns: Sequence[str] | None = None,
    labels: Sequence[str] | None = None,
    tolerance: float = TOLERANCE,
    rows_off: float = ROWS_OFF,
    keep_sample: bool = True,
) -> Converted:
    """Convert *model* to a served format and prove that it answers the same.

    *model* is what a framework fitted, or the path of a file or folder that it saved. *sample* are
    rows as the model takes them (matrix, pandas or polars frame, texts), best some hundred held-out ones:
    source and converted model answer all of them, and edge rows made from them. *columns* names the
    columns of a matrix, *labels* the classes. An answer is off when it differs by more than *tolerance*,
    relative to its size or spread; at most the share *rows_off* of the rows may be off (a rounding may
    push a row over a tree's threshold). Up to eight rows of the sample stay with the artifact, unless
    *keep_sample* is false. Raises `Different`, which shows the worst row, and `Unsupported`, which names
    what has no place in the served format.
    """
    given = Given(sample, columns, labels)
    with threads_for(_values(sample)):
        if isinstance(model, str | Path):
            path = Path(model)
            source = reader_of(path)
            if (why := source.runs_code(path)) is not None:
                raise Unsupported(why)
            model = source.load(path)
        else:
            source = source_of(model)
        return prove(source.draft(model, given), tolerance, rows_off, keep_sample=keep_sample)


def _values(sample: Any) -> int:
    if hasattr(sample, "size") and not hasattr(sample, "columns"):
        return int(sample.size)
    return len(sample) * len(getattr(sample, "columns", "x")) if hasattr(sample, "__len__") else 0
