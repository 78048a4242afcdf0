"""Boosted trees of XGBoost, LightGBM and CatBoost, each silent, seeded, and on the threads it is given."""

from __future__ import annotations

from typing import Any

from forebay.workshop.train.estimators.offer import CLASSES, NUMBERS, QUANTILES, Asked, Estimator, Range


def _xgboost(asked: Asked, **own: Any) -> dict[str, Any]:
    return {"n_estimators": 150, "random_state": asked.seed, "n_jobs": threads(), **own, **asked.params}


def _xgboost_classes(asked: Asked) -> Any:
    import xgboost  # noqa: PLC0415 (heavy)

    return xgboost.XGBClassifier(**_xgboost(asked))


def _xgboost_numbers(asked: Asked) -> Any:
    import xgboost  # noqa: PLC0415 (heavy)

    return xgboost.XGBRegressor(**_xgboost(asked))


def _lightgbm(asked: Asked, **own: Any) -> dict[str, Any]:
    still = {"verbosity": -1, "n_jobs": threads(), "deterministic": True, "force_row_wise": True}
    return {"n_estimators": 150, "random_state": asked.seed, **still, **own, **asked.params}


def _lightgbm_classes(asked: Asked) -> Any:
    import lightgbm  # noqa: PLC0415 (heavy)

    return lightgbm.LGBMClassifier(**_lightgbm(asked))


def _lightgbm_numbers(asked: Asked) -> Any:
    import lightgbm  # noqa: PLC0415 (heavy)

    return lightgbm.LGBMRegressor(**_lightgbm(asked))


def _lightgbm_quantile(asked: Asked) -> Any:
    import lightgbm  # noqa: PLC0415 (heavy)

    return lightgbm.LGBMRegressor(**_lightgbm(asked, objective="quantile", alpha=asked.quantile))


def _catboost(asked: Asked, **own: Any) -> dict[str, Any]:
    still = {"verbose": False, "allow_writing_files": False, "thread_count": threads()}
    return {"iterations": 200, "random_seed": asked.seed, **still, **own, **asked.params}


def _catboost_classes(asked: Asked) -> Any:
    import catboost  # noqa: PLC0415 (heavy)

    return catboost.CatBoostClassifier(**_catboost(asked))


def _catboost_numbers(asked: Asked) -> Any:
    import catboost  # noqa: PLC0415 (heavy)

    return catboost.CatBoostRegressor(**_catboost(asked))


def threads() -> int:
    """As many as scikit-learn's own libraries may use just now: `threads_for` says it."""
    import threadpoolctl  # noqa: PLC0415 (heavy)

    limits = [pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "openmp"]
    return min(limits, default=1)


BOOSTERS = (
    Estimator(
        "xgboost",
        {CLASSES: _xgboost_classes, NUMBERS: _xgboost_numbers},
        {
            "learning_rate": Range(0.02, 0.3, log=True),
            "n_estimators": Range(50, 400, whole=True),
            "max_depth": Range(2, 9, whole=True),
            "min_child_weight": Range(0.5, 20.0, log=True),
            "subsample": Range(0.5, 1.0),
            "colsample_bytree": Range(0.4, 1.0),
            "reg_lambda": Range(1e-3, 10.0, log=True),
        },
        heavy=True,
        module="xgboost",
        extra="boost",
    ),
    Estimator(
        "lightgbm",
        {CLASSES: _lightgbm_classes, NUMBERS: _lightgbm_numbers, QUANTILES: _lightgbm_quantile},
        {
            "learning_rate": Range(0.02, 0.3, log=True),
            "n_estimators": Range(50, 400, whole=True),
            "num_leaves": Range(4, 63, log=True, whole=True),
            "min_child_samples": Range(5, 60, log=True, whole=True),
            "colsample_bytree": Range(0.4, 1.0),
            "reg_lambda": Range(1e-3, 10.0, log=True),
        },
        heavy=True,
        module="lightgbm",
        extra="boost",
    ),
    Estimator(
        "catboost",
        {CLASSES: _catboost_classes, NUMBERS: _catboost_numbers},
        {
            "learning_rate": Range(0.02, 0.3, log=True),
            "iterations": Range(50, 400, whole=True),
            "depth": Range(2, 8, whole=True),
            "l2_leaf_reg": Range(0.5, 20.0, log=True),
        },
        heavy=True,
        module="catboost",
        extra="boost",
    ),
)
