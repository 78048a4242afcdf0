"""What a model answered, the way a notebook wants it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, overload

import numpy as np

from forebay.client.shown import html_table
from forebay.core import Array
from forebay.core.errors import Malformed

_SHOWN = 10


class Predictions(Sequence[dict[str, Any]]):
    """One dict a row, as the node answered, and the columns of them as arrays.

    >>> rows = [{"label": 3, "probabilities": {"3": 0.9, "8": 0.1}}]
    >>> answer = Predictions("digits", 1, rows)
    >>> answer.labels, answer.classes, answer.probabilities, answer[0]["label"]
    (array([3]), ['3', '8'], array([[0.9, 0.1]]), 3)
    """

    def __init__(self, model: str, version: int, rows: list[dict[str, Any]]) -> None:
        self.model = model
        self.version = version
        self.rows = rows

    @property
    def labels(self) -> Array:
        """The predicted class of each row; raises `Malformed` for a model without labels."""
        return np.asarray(self._column("label"))

    @property
    def probabilities(self) -> Array:
        """Float64 of shape [rows, classes], in the order of `classes`."""
        found = self._column("probabilities")
        return np.array([[row[name] for name in self.classes] for row in found], dtype=np.float64)

    @property
    def classes(self) -> list[str]:
        """What the columns of `probabilities` mean."""
        return list(self._column("probabilities")[0])

    @property
    def values(self) -> Array:
        """Float64, the predicted number of each row; raises `Malformed` for a model that has none."""
        return np.asarray(self._column("prediction"), dtype=np.float64)

    def _column(self, name: str) -> list[Any]:
        missing = [row for row in self.rows if name not in row]
        if missing:
            raise Malformed(
                f"{self.model}:{self.version} answers no {name!r}, but {sorted(missing[0])}; see .rows"
            )
        return [row[name] for row in self.rows]

    @overload
    def __getitem__(self, index: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, index: slice) -> Predictions: ...
    def __getitem__(self, index: int | slice) -> dict[str, Any] | Predictions:
        if isinstance(index, slice):
            return Predictions(self.model, self.version, self.rows[index])
        return self.rows[index]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.rows)

    def __repr__(self) -> str:
        first = ", ".join(headline(row) for row in self.rows[:_SHOWN])
        more = ", …" if len(self.rows) > _SHOWN else ""
        count = f"{len(self.rows)} prediction{'s' if len(self.rows) != 1 else ''}"
        return f"<{count} of {self.model}:{self.version}: {first}{more}>"

    def _repr_html_(self) -> str:
        names = sorted({name for row in self.rows for name in row}, key=_order)
        shown = self.rows[: 2 * _SHOWN]
        table = html_table(["", *names], [[i, *cells(row, names)] for i, row in enumerate(shown)])
        return f"{table}<p>{len(self.rows)} rows of {self.model}:{self.version}</p>"


def headline(row: dict[str, Any]) -> str:
    """The one thing that a row says: its label, its number, or whatever stands first."""
    for name in ("label", "prediction"):
        if name in row:
            return _short(row[name])
    return _short(next(iter(row.values()), ""))


def cells(row: dict[str, Any], names: Iterable[str]) -> list[str]:
    """The row's cells; of probabilities the three largest."""
    return [_short(row.get(name, "")) for name in names]


def _short(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict):
        best = sorted(value.items(), key=lambda pair: -pair[1])[:3]
        return ", ".join(f"{name} {share:.3f}" for name, share in best)
    return str(value)


def _order(name: str) -> tuple[int, str]:
    known = ("label", "prediction", "probabilities")
    return (known.index(name) if name in known else len(known), name)
