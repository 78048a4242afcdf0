"""What people have (arrays, lists, data frames, records) as rows for a node's plain door."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from forebay.core import Array
from forebay.core.errors import Malformed

_HINT = "pass a 2-D array, a list of rows, a list of records (dicts), or a pandas or polars data frame"


class Rows(NamedTuple):
    """Rows in the shape that the node reads: `word` is `rows` or `records`."""

    word: str
    items: Sequence[Any] | Array

    def __len__(self) -> int:
        return len(self.items)

    def bodies(self, at_most: int) -> Iterator[dict[str, Any]]:
        """The JSON bodies of requests of no more than *at_most* rows each."""
        for start in range(0, len(self.items), at_most):
            yield {self.word: self.items[start : start + at_most]}


def rows_of(data: object) -> Rows:
    """Read *data*; one row alone (a flat list, a 1-D array, one record) counts as one row.

    >>> rows_of([[1.5, 2], [3, 4]]).word, len(rows_of([1.5, 2.0]))
    ('rows', 1)
    >>> rows_of({"age": 31, "city": "Ulm"})
    Rows(word='records', items=[{'age': 31, 'city': 'Ulm'}])
    """
    if isinstance(data, Rows):
        found = data
    elif isinstance(data, Mapping):
        found = _of_mapping(data)
    elif hasattr(data, "to_dicts"):  # polars
        found = Rows("records", data.to_dicts())
    elif hasattr(data, "to_dict") and hasattr(data, "columns"):  # pandas
        found = _of_pandas(data)
    elif isinstance(data, list | tuple):
        found = _of_list(data)
    else:
        found = _of_array(data)
    if not len(found):
        raise Malformed("there are no rows to predict")
    return found


def _of_mapping(data: Mapping[str, Any]) -> Rows:
    columns = [value for value in data.values() if isinstance(value, list | tuple | np.ndarray)]
    if not columns:
        return Rows("records", [dict(data)])
    if len(columns) != len(data) or len({len(column) for column in columns}) > 1:
        raise Malformed(f"a dict of columns needs columns of one length; {_HINT}")
    listed = [column.tolist() if isinstance(column, np.ndarray) else column for column in data.values()]
    return Rows("records", [dict(zip(data, row, strict=True)) for row in zip(*listed, strict=True)])


def _of_pandas(frame: Any) -> Rows:
    known = frame.astype(object).where(frame.notna(), None)
    known.columns = [str(column) for column in frame.columns]
    return Rows("records", known.to_dict("records"))


def _of_list(data: Sequence[Any]) -> Rows:
    if data and all(isinstance(item, Mapping) for item in data):
        return Rows("records", [dict(item) for item in data])
    if data and all(item is None or isinstance(item, str | int | float | np.generic) for item in data):
        return Rows("rows", [list(data)])
    if not all(isinstance(item, list | tuple | np.ndarray) for item in data):
        raise Malformed(f"these rows are of different kinds; {_HINT}")
    return Rows("rows", [item.tolist() if isinstance(item, np.ndarray) else list(item) for item in data])


def _of_array(data: object) -> Rows:
    dense = data.toarray() if hasattr(data, "toarray") else data  # SciPy's sparse matrices
    array = np.asarray(dense)
    if array.ndim == 0:
        raise Malformed(f"a {type(data).__name__} holds no rows; {_HINT}")
    batch = array[np.newaxis] if array.ndim == 1 else array
    if batch.dtype.kind not in "fiub":
        return Rows("rows", batch.tolist())
    return Rows("rows", np.ascontiguousarray(batch))
