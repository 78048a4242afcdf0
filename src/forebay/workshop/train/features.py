"""What stands before an estimator: gaps filled, numbers scaled, texts made into numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from forebay.core import Array
from forebay.workshop.train.columns import Kind
from forebay.workshop.train.estimators import Estimator
from forebay.workshop.train.preparing import Prepared
from forebay.workshop.train.words import words_step

_CATEGORIES = 50


def preparation_for(estimator: Estimator, prepared: Prepared) -> Any:
    """The unfitted transformer from raw rows to what *estimator* learns from; None where it takes them."""
    from sklearn.compose import ColumnTransformer  # noqa: PLC0415 (heavy)
    from sklearn.pipeline import Pipeline  # noqa: PLC0415 (heavy)

    numbers = [] if estimator.pixels and not prepared.gaps else _numbers(estimator)
    if prepared.matrix:
        return Pipeline(numbers) if numbers else None
    names = {kind: [c.name for c in prepared.facts.columns if c.kind is kind] for kind in Kind}
    branches: list[tuple[str, Any, Any]] = []
    if names[Kind.NUMBER]:
        branches.append(("numbers", Pipeline(numbers) if numbers else "passthrough", names[Kind.NUMBER]))
    if names[Kind.TEXT]:
        branches.append(("texts", _texts(prepared, names[Kind.TEXT]), names[Kind.TEXT]))
    branches += [(f"words {name}", words_step(), name) for name in names[Kind.WORDS]]
    return ColumnTransformer(branches, sparse_threshold=1.0 if names[Kind.WORDS] else 0.0)


def features_of(values: Any, *, sparse: bool) -> Any:
    """Float32, dense unless the estimator takes *sparse* values."""
    if hasattr(values, "toarray"):
        return values.astype(np.float32) if sparse else values.toarray().astype(np.float32)
    return np.ascontiguousarray(values, dtype=np.float32)


def _numbers(estimator: Estimator) -> list[tuple[str, Any]]:
    from sklearn.impute import SimpleImputer  # noqa: PLC0415 (heavy)
    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415 (heavy)

    steps: list[tuple[str, Any]] = []
    if estimator.filled:
        steps.append(("fill", SimpleImputer(strategy="median", keep_empty_features=True)))
    if estimator.scaled:
        steps.append(("scale", StandardScaler()))
    return steps


def _texts(prepared: Prepared, names: list[str]) -> Any:
    """One-hot of each column's commonest texts; a missing text is the text `''`, an unknown one is none."""
    from sklearn.impute import SimpleImputer  # noqa: PLC0415 (heavy)
    from sklearn.pipeline import Pipeline  # noqa: PLC0415 (heavy)
    from sklearn.preprocessing import OneHotEncoder  # noqa: PLC0415 (heavy)

    encode = OneHotEncoder(
        categories=[_commonest(prepared, name) for name in names],
        handle_unknown="ignore",
        sparse_output=False,
        dtype=np.float32,
    )
    fill = SimpleImputer(missing_values=None, strategy="constant", fill_value="")
    return Pipeline([("fill", fill), ("encode", encode)])


def _commonest(prepared: Prepared, name: str) -> list[str]:
    counts = prepared.train[name].value_counts(name="rows_of_it").rows()
    ordered = sorted(counts, key=lambda pair: (-pair[1], pair[0]))
    return sorted(text for text, _ in ordered[:_CATEGORIES])


def some(rows: Any, places: Array) -> Any:
    """The rows at *places*, of a matrix or a frame."""
    return rows[places] if isinstance(rows, np.ndarray) else rows[places.tolist()]


def at_most(values: Array) -> Array:
    """The largest float32 that is at most each of *values*.

    >>> float(at_most(np.array([0.1]))[0]) <= 0.1
    True
    """
    near = values.astype(np.float32)
    return np.where(near > values, np.nextafter(near, np.float32(-np.inf)), near)
