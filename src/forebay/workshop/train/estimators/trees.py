"""Trees, forests and boosted trees of scikit-learn."""

from __future__ import annotations

from typing import Any

from forebay.workshop.train.estimators.offer import CLASSES, NUMBERS, QUANTILES, Asked, Estimator, Range


def _tree_of_classes(asked: Asked) -> Any:
    from sklearn.tree import DecisionTreeClassifier  # noqa: PLC0415 (heavy)

    return DecisionTreeClassifier(**{"max_depth": 8, "random_state": asked.seed, **asked.params})


def _tree_of_numbers(asked: Asked) -> Any:
    from sklearn.tree import DecisionTreeRegressor  # noqa: PLC0415 (heavy)

    return DecisionTreeRegressor(**{"max_depth": 8, "random_state": asked.seed, **asked.params})


def _forest_of_classes(asked: Asked) -> Any:
    from sklearn.ensemble import RandomForestClassifier  # noqa: PLC0415 (heavy)

    return RandomForestClassifier(**{"n_estimators": 100, "random_state": asked.seed, **asked.params})


def _forest_of_numbers(asked: Asked) -> Any:
    from sklearn.ensemble import RandomForestRegressor  # noqa: PLC0415 (heavy)

    return RandomForestRegressor(**{"n_estimators": 100, "random_state": asked.seed, **asked.params})


def _boosted_classes(asked: Asked) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier  # noqa: PLC0415 (heavy)

    return HistGradientBoostingClassifier(**{"random_state": asked.seed, **asked.params})


def _boosted_numbers(asked: Asked) -> Any:
    from sklearn.ensemble import HistGradientBoostingRegressor  # noqa: PLC0415 (heavy)

    return HistGradientBoostingRegressor(**{"random_state": asked.seed, **asked.params})


def _boosted_quantile(asked: Asked) -> Any:
    from sklearn.ensemble import HistGradientBoostingRegressor  # noqa: PLC0415 (heavy)

    named = {"loss": "quantile", "quantile": asked.quantile, "random_state": asked.seed}
    return HistGradientBoostingRegressor(**{**named, **asked.params})


TREES = (
    Estimator(
        "decision-tree",
        {CLASSES: _tree_of_classes, NUMBERS: _tree_of_numbers},
        {"max_depth": Range(2, 20, whole=True), "min_samples_leaf": Range(1, 50, log=True, whole=True)},
        filled=True,
    ),
    Estimator(
        "random-forest",
        {CLASSES: _forest_of_classes, NUMBERS: _forest_of_numbers},
        {
            "n_estimators": Range(50, 300, whole=True),
            "max_features": Range(0.1, 1.0),
            "min_samples_leaf": Range(1, 20, log=True, whole=True),
        },
        filled=True,
        rows_heavy=True,
    ),
    Estimator(
        "hist-gradient-boosting",
        {CLASSES: _boosted_classes, NUMBERS: _boosted_numbers, QUANTILES: _boosted_quantile},
        {
            "learning_rate": Range(0.02, 0.3, log=True),
            "max_iter": Range(50, 300, whole=True),
            "max_leaf_nodes": Range(4, 63, log=True, whole=True),
            "min_samples_leaf": Range(5, 60, log=True, whole=True),
            "l2_regularization": Range(1e-6, 10.0, log=True),
        },
        heavy=True,
    ),
)
