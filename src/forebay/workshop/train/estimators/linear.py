"""Lines and planes: quick, small, hard to beat where there is little data."""

from __future__ import annotations

from typing import Any

from forebay.workshop.train.estimators.offer import CLASSES, NUMBERS, QUANTILES, Asked, Estimator, Range


def _logistic(asked: Asked) -> Any:
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 (heavy)

    return LogisticRegression(**{"max_iter": 1000, "random_state": asked.seed, **asked.params})


def _linear(_asked: Asked) -> Any:
    from sklearn.linear_model import LinearRegression  # noqa: PLC0415 (heavy)

    return LinearRegression()


def _ridge(asked: Asked) -> Any:
    from sklearn.linear_model import Ridge  # noqa: PLC0415 (heavy)

    return Ridge(**asked.params)


def _quantile(asked: Asked) -> Any:
    from sklearn.linear_model import QuantileRegressor  # noqa: PLC0415 (heavy)

    return QuantileRegressor(**{"quantile": asked.quantile, "alpha": 1e-3, "solver": "highs", **asked.params})


LINEAR = (
    Estimator(
        "logistic-regression",
        {CLASSES: _logistic},
        {"C": Range(1e-3, 1e2, log=True)},
        scaled=True,
        filled=True,
        sparse=True,
    ),
    Estimator(
        "linear-regression",
        {NUMBERS: _linear, QUANTILES: _quantile},
        scaled=True,
        filled=True,
        sparse=True,
        rows_heavy=True,
    ),
    Estimator(
        "ridge",
        {NUMBERS: _ridge},
        {"alpha": Range(1e-3, 1e3, log=True)},
        scaled=True,
        filled=True,
        sparse=True,
    ),
)
