"""What a table is like before anything is learnt from it, and what of it should be minded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from forebay.core import Array
from forebay.workshop.train.columns import Choice, Column, Kind
from forebay.workshop.train.recipe import CLASSIFICATION, MULTILABEL, REGRESSION

if TYPE_CHECKING:
    import polars as pl

_UNBALANCED = 0.1
_MANY_MISSING = 0.5
_MANY_TEXTS = 50
_LEAKING = 0.999
_LOOKED_AT_ROWS = 5_000
_LOOKED_AT_COLUMNS = 60


@dataclass(frozen=True, slots=True)
class Aspect:
    """The data as a task sees it: typed columns, and the target as an array."""

    task: str
    why: str
    frame: pl.DataFrame
    target: Array
    choice: Choice
    answers: tuple[str, ...]
    targets: tuple[str, ...]
    image: tuple[int, int, int] | None = None

    @property
    def classes(self) -> dict[str, int]:
        """How many rows each class has; empty where there are none."""
        if self.task != CLASSIFICATION:
            return {}
        names, counts = np.unique(self.target, return_counts=True)
        return {str(name): int(count) for name, count in zip(names, counts, strict=True)}


def warnings_of(aspect: Aspect, duplicates: int) -> list[str]:
    """A sentence for everything that may mislead: gaps, duplicates, rare classes, columns that leak."""
    rows = len(aspect.target)
    told = [sentence for column in aspect.choice.columns for sentence in _about(column, rows)]
    if duplicates:
        told.append(f"{duplicates} of {rows} rows are duplicates; the held-out score may flatter the model")
    if aspect.task == CLASSIFICATION:
        name, count = min(aspect.classes.items(), key=lambda item: item[1])
        if count < _UNBALANCED * rows:
            told.append(f"only {count} of {rows} rows are of the class {name!r}; look at its own score")
    if aspect.task == MULTILABEL:
        shares = dict(zip(aspect.targets, aspect.target.mean(axis=0).tolist(), strict=True))
        rare = [name for name, share in shares.items() if share < _UNBALANCED]
        told += [f"only {shares[name]:.1%} of the rows have the label {name!r}" for name in rare]
    return told + [
        f"{name!r} alone tells the target almost always; is it known before the answer is?"
        for name in _leaking(aspect)
    ]


def _about(column: Column, rows: int) -> list[str]:
    told = []
    if column.missing > _MANY_MISSING * rows:
        told.append(f"{column.name!r} is missing in {column.missing} of {rows} rows")
    if column.kind is Kind.TEXT and column.distinct > _MANY_TEXTS:
        told.append(
            f"{column.name!r} has {column.distinct} different texts; the {_MANY_TEXTS} commonest are learnt, "
            "others count as unknown"
        )
    return told


def _leaking(aspect: Aspect) -> list[str]:
    """The columns from which alone a small tree tells the target: usually something known only afterwards."""
    if aspect.task not in (CLASSIFICATION, REGRESSION) or aspect.frame.width > _LOOKED_AT_COLUMNS:
        return []
    if aspect.frame.width == 1:
        return []
    target = aspect.target[:_LOOKED_AT_ROWS]
    frame = aspect.frame.head(_LOOKED_AT_ROWS)
    return [series.name for series in frame if _tells(series, target, aspect)]


def _tells(series: pl.Series, target: Array, aspect: Aspect) -> bool:
    from sklearn import tree  # noqa: PLC0415 (heavy)

    kinds = {column.name: column.kind for column in aspect.choice.columns}
    if kinds[series.name] is not Kind.NUMBER:
        if kinds[series.name] is Kind.WORDS or series.n_unique() > min(_MANY_TEXTS, len(series) // 5):
            return False
        values = np.unique(series.to_numpy(), return_inverse=True)[1].astype(np.float32)
    else:
        values = np.nan_to_num(series.to_numpy(), nan=-1e30)
    values = values.reshape(-1, 1)
    if aspect.task == CLASSIFICATION:
        leaves = max(2, len(aspect.classes))
        told = (
            tree.DecisionTreeClassifier(max_leaf_nodes=leaves, random_state=0)
            .fit(values, target)
            .predict(values)
        )
        return _macro_f1(target, told) >= _LEAKING
    correlation = np.corrcoef(values[:, 0], target)[0, 1] if values.std() > 0 else 0.0
    return bool(abs(correlation) >= _LEAKING)


def _macro_f1(target: Array, told: Array) -> float:
    """As scikit-learn's own, which takes a hundred times as long for a column."""
    classes = np.unique(target)
    truth, said = np.searchsorted(classes, target), np.searchsorted(classes, told)
    right = np.bincount(truth[truth == said], minlength=len(classes))
    counts = np.bincount(truth, minlength=len(classes)) + np.bincount(said, minlength=len(classes))
    return float(np.mean(2 * right / counts))
